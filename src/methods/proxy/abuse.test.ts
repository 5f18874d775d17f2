import { expect, test } from "bun:test";
import fc from "fast-check";
import { LENGTH, live, moods, settles, socketsOf, story, words } from "../../relay/abuse-testing.ts";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, deadPort, type Served } from "../../relay/testing.ts";
import { sleep } from "../../runtime/clock.ts";
import { proxy } from "./index.ts";

/** Clients and backends that do all they should not, at random moments: whatever came, nothing stays counted or held. */

const { raw, serve, client } = httpStage(proxy);

const state = fc.constantFrom("up" as const, "down" as const, "draining" as const, "maintenance" as const);
const given = fc.record({
  mode: fc.constantFrom("http", "http", "tcp"),
  sendProxy: fc.constantFrom(undefined, undefined, "v1", "v2"),
  more: fc.constantFrom<object>(
    {},
    {},
    { sticky: { secret: "0123456789abcdef" } },
    { sticky: { header: "Host" } },
    { routes: [{ method: ["GET"], request: { set: { A: "b" }, prefix: "/v" }, response: { set: { B: "c" } } }] },
  ),
  drain: fc.option(fc.nat(200), { nil: undefined }),
  limit: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  moods: fc.array(fc.array(fc.constantFrom(...Object.keys(moods)), { minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 3,
  }),
  stories: fc.array(story, { minLength: 1, maxLength: 40 }),
  changes: fc.array(fc.tuple(fc.nat(2), state, fc.nat(40)), { maxLength: 6 }),
});

const gauges = (served: Served): number[] =>
  ["-1/active", "-1/queued", "0/active", "1/active", "2/active", "3/active"].map(served.count);

/** Most connections of one address, which all clients here have. */
const MOST = 60;
/** A machine that stands still for a moment must not look like a backend that is silent, for `servesOn` forgives none. */
const short = { head: "2s", body: "150ms", idle: "2s", stall: "150ms", connect: "250ms", response: "250ms" };

test("whatever clients and backends do, and whenever they leave: no gauge, place, descriptor or budget is kept", async () => {
  await fc.assert(
    fc.asyncProperty(given, async ({ mode, sendProxy, more, drain, limit, moods: perBackend, stories, changes }) => {
      let calm = false;
      const backends = perBackend.map((list, i) => {
        let turn = 0;
        return raw((end) => {
          if (calm) return i === 0 ? end.stop() : void end.send(LENGTH);
          moods[list[turn++ % list.length]!]!(end);
        });
      });
      const ports = [...backends.map(({ port }) => port), deadPort()];
      const before = socketsOf("self");
      const served = await serve(
        ports.map((port, i) => aBackend(i, port)),
        {
          mode,
          sendProxy,
          ...(mode === "tcp" ? {} : more),
          timeouts: { ...short, read: "100ms", pool: "100ms", tunnel: "1s" },
          limits: { perAddress: MOST, connections: MOST, ...(limit === undefined ? {} : { backend: limit }) },
          queue: { size: 4, timeout: "60ms" },
          ...(mode === "tcp" ? {} : { retryOn: [503, "timeout"] }),
          // One for a port where nobody is, one for a backend that hangs up; kept connections that are dead are not counted.
          retries: 2,
          retryBudget: { percent: 0, least: 2 },
        },
      );
      const turning = changes.map(async ([id, to, after]) => {
        await sleep(after);
        if (id < ports.length) served.change(id, { state: to });
      });
      const drained = drain === undefined ? null : sleep(drain).then(() => served.serving.drain(400));
      await Promise.all([drained, ...turning, ...stories.map((steps) => live(client(served), steps))]);
      for (const end of backends.flatMap(({ connections }) => connections)) end.socket?.resume();
      await settles(() => gauges(served).every((one) => one === 0));
      expect(gauges(served)).toEqual([0, 0, 0, 0, 0, 0]);
      for (const id of ports.keys()) served.change(id, { state: "up" });
      if (mode === "http" && drained === null) await servesOn(served, ports.length, () => (calm = true));
      await served.stop();
      for (const end of backends.flatMap(({ connections }) => connections)) end.stop();
      await settles(() => socketsOf("self") <= before);
      expect(socketsOf("self")).toBeLessThanOrEqual(before);
    }),
    { numRuns: 20 },
  );
}, 120_000);

/** All places at the limits are free again, and the budget of repeats is whole. */
async function servesOn(served: Served, backends: number, calm: () => void): Promise<void> {
  const ends = Array.from({ length: MOST }, () => client(served).send(words.own!));
  for (const end of ends) await end.has("200 OK");
  for (const end of ends) end.stop();
  calm();
  if (backends < 3) return;
  for (let i = 0; i < 6; i++) {
    const end = client(served).send(words.get!);
    await end.has("200 OK");
    end.stop();
  }
}
