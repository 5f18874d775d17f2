import { afterEach, describe, expect, test } from "bun:test";
import type { Listener } from "../core/service.ts";
import { closeFd, localEnd, makeListener } from "../runtime/listen.ts";
import { SocketTable } from "./sockets.ts";

/** Ports that were free a moment ago, one listener each. */
const some = (protocol: "tcp" | "udp", ...addresses: string[]): Listener[] => {
  const made = makeListener({ address: "127.0.0.1", port: 0, protocol });
  if (!made.ok) throw new Error(made.problems[0]!.message);
  const { port } = localEnd(made.value);
  closeFd(made.value);
  return addresses.map((address) => ({ address, port, protocol }));
};

describe.each(["tcp", "udp"] as const)("sockets of %s", (protocol) => {
  const tables: SocketTable[] = [];
  const table = (): SocketTable => {
    tables.push(new SocketTable());
    return tables.at(-1)!;
  };
  afterEach(() => {
    for (const one of tables.splice(0)) one.keep([]);
  });

  test("a second instance is not let in beside the first: each would get a part of what comes", () => {
    const listeners = some(protocol, "127.0.0.1");
    const other = table();
    expect(table().prepare(listeners, 2)).toEqual([]);
    for (let tried = 0; tried < 2; tried++)
      expect(other.prepare(listeners, 2).map(({ problem }) => [problem.code, problem.message])).toEqual([
        ["SLUICE_BIND", expect.stringContaining("bind: Address already in use")],
      ]);
    tables[1]!.keep([]);
    expect(other.prepare(listeners, 2)).toEqual([]);
  });

  test("a table is not in its own way: more sockets, other addresses of the port, one that a worker still drains", () => {
    const [one, any] = some(protocol, "127.0.0.1", "0.0.0.0") as [Listener, Listener];
    const own = table();
    expect(own.prepare([one], 1)).toEqual([]);
    expect(own.prepare([one, any], 2)).toEqual([]);
    expect(own.of(one, 0, 1)).toHaveLength(2);
    const drained = makeListener(one);
    own.keep([]);
    expect(own.prepare([any], 1)).toEqual([]);
    if (drained.ok) closeFd(drained.value);
  });

  test("a port that nobody of ours is bound to any more is no longer ours: a stranger there is not joined", () => {
    const [one, two] = [...some(protocol, "127.0.0.1"), ...some(protocol, "127.0.0.1")] as [Listener, Listener];
    const own = table();
    expect(own.prepare([one, two], 1)).toEqual([]);
    const drains = makeListener(one);
    own.keep([two]);
    // Still bound to it: ours.
    own.forget();
    expect(own.prepare([one], 1)).toEqual([]);
    own.keep([two]);
    if (drains.ok) closeFd(drains.value);
    own.forget();
    const stranger = makeListener(one);
    expect(own.prepare([one], 1)).toHaveLength(1);
    // What we serve is never forgotten.
    expect(own.prepare([two], 2)).toEqual([]);
    if (stranger.ok) closeFd(stranger.value);
  });

  test("sockets of an earlier daemon are not in the way of the next one", () => {
    const [one] = some(protocol, "127.0.0.1") as [Listener];
    const earlier = makeListener(one);
    const next = table();
    if (earlier.ok) next.adopt(one, earlier.value);
    expect(next.prepare([one], 2)).toEqual([]);
    expect(next.of(one, 0, 1)).toHaveLength(2);
  });

  test("nor are those that its workers hold and the kernel does not hand out", () => {
    const [one] = some(protocol, "127.0.0.1") as [Listener];
    const earlier = makeListener(one);
    const next = table();
    next.own(one);
    expect(next.prepare([one], 1)).toEqual([]);
    if (earlier.ok) closeFd(earlier.value);
  });

  test("one that a worker of a killed daemon holds for another moment is waited for, one that stays taken is refused", async () => {
    const [one] = some(protocol, "127.0.0.1") as [Listener];
    const held = makeListener(one);
    setTimeout(() => held.ok && closeFd(held.value), 150);
    const next = table();
    await next.settled([one]);
    expect(next.prepare([one], 1)).toEqual([]);
    const other = table();
    await other.settled([one]);
    expect(other.prepare([one], 1)).toHaveLength(1);
  });
});
