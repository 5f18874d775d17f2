import { expect, test } from "bun:test";
import type { TooBig } from "../system/too-big.ts";
import { PathListener } from "./path-listener.ts";
import { PathMtus } from "./path-mtu.ts";
import type { Plane } from "./plane.ts";

const own = "10.0.0.1";
const backends = { plain: "10.1.0.20", gue: "10.1.0.21", network: "10.1.0.22", six: "2001:db8::20" };

/** A plane with a service for each way of wrapping, and one that wraps nothing; what routers say is `words`. */
function listening(words: TooBig[][], deaf: string | null = null) {
  const state = (forward: string, address: string, config = {}) => ({
    forward,
    config,
    locals: new Map([[0, { address }]]),
  });
  const services = [
    state("tunnel", backends.plain),
    state("tunnel", backends.gue, { guePort: 6080 }),
    state("tunnel", backends.network, { outerSource: "172.16.0.0/16" }),
    state("tunnel", backends.six, { outerSource: "172.16.0.0/16" }),
    state("direct", "10.1.0.99"),
  ];
  const routes = new Map(
    services.map(({ locals }) => {
      const { address } = locals.get(0)!;
      return [address, { source: address.includes(":") ? "2001:db8::1" : own }];
    }),
  );
  const pathMtus = new PathMtus();
  const plane = { services: new Map(services.entries()), ways: { routes, pathMtus } } as unknown as Plane;
  const said: string[] = [];
  const watch = { deaf, read: () => words.shift() ?? [], close() {} };
  return { listener: new PathListener(plane, (_, text) => said.push(text), watch), pathMtus, said };
}

const word = (over: Partial<TooBig>): TooBig => ({
  mtu: 1400,
  source: own,
  target: backends.plain,
  protocol: 4,
  length: 1500,
  port: null,
  ...over,
});

test("a word that quotes an outer packet of ours counts, by each way of wrapping", () => {
  const inGue = { target: backends.gue, protocol: 17, port: 6080 };
  for (const [address, over] of [
    [backends.plain, {}],
    [backends.plain, { protocol: 41 }],
    [backends.gue, inGue],
    [backends.network, { target: backends.network, source: "172.16.44.5" }],
    [backends.six, { target: backends.six, source: "2001:db8::1" }],
  ] as const) {
    const { listener, pathMtus, said } = listening([[word(over)]]);
    expect(listener.listen(0)).toBe(true);
    expect(pathMtus.of(address)).toBe(1400);
    expect(said).toEqual([`a router on the way to ${address} carries 1400 bytes at most`]);
  }
});

test("what anybody could make up without knowing what we send does nothing", () => {
  const forged: Partial<TooBig>[] = [
    { source: "10.0.0.2" },
    { target: "10.1.0.23" },
    { target: "10.1.0.99" },
    { protocol: 17, port: 6080 },
    { protocol: 6 },
    { target: backends.gue },
    { target: backends.gue, protocol: 17, port: 53 },
    { target: backends.gue, protocol: 17 },
    { target: backends.network },
    { target: backends.network, source: "172.17.0.1" },
    { target: backends.six },
    { mtu: 1500 },
    { length: 1400 },
  ];
  const { listener, pathMtus, said } = listening([forged.map(word)]);
  expect(listener.listen(0)).toBe(false);
  expect(pathMtus.addresses).toEqual([]);
  expect(said).toEqual([]);
});

test("after ten minutes without a word the link's own MTU is tried again, and that is said", () => {
  const { listener, pathMtus, said } = listening([[word({})], []]);
  listener.listen(0);
  expect(listener.listen(9 * 60_000)).toBe(false);
  expect(listener.listen(10 * 60_000)).toBe(true);
  expect(pathMtus.of(backends.plain)).toBeUndefined();
  expect(said[1]).toBe(`the way to ${backends.plain} is tried with its link's MTU again`);
});

test("who may not listen says so once", () => {
  const { listener, said } = listening([], "Operation not permitted");
  for (let i = 0; i < 3; i++) listener.listen(i);
  expect(said).toEqual([
    "routers that carry less than our own link are not heard (it takes CAP_NET_RAW): Operation not permitted",
  ]);
});
