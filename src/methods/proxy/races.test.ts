import { expect, test } from "bun:test";
import fc from "fast-check";
import { settles } from "../../relay/abuse-testing.ts";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, deadPort, type End, type Served } from "../../relay/testing.ts";
import { sleep, sleepSync } from "../../runtime/clock.ts";
import { proxy } from "./index.ts";

/** Every time-out is up about when what it waits for comes, in the same turn or beside it. */

const { raw, serve, client } = httpStage(proxy);

/** All time-outs; ms. */
const TIME = 100;
const late = fc.integer({ min: TIME - 12, max: TIME + 12 });
/** What a backend does with a request: how much of its answer it sends when, and how it ends. `still`: ms without a turn. */
const mood = fc.record({
  part: fc.constantFrom(0, 0, 1, 0.2, 0.7),
  after: fc.oneof(late, fc.constant(0)),
  end: fc.constantFrom("rest", "rest", "rest", "stop", "shutdown", "nothing"),
  still: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(130) }),
});
/** A request: whether it has a body, after how much of it its client pauses, and for how long behind it. */
const step = fc.record({
  put: fc.boolean(),
  pause: fc.constantFrom(1, 1, 0.1, 0.5, 0.9),
  rest: fc.oneof(late, fc.constant(0)),
});
const given = fc.record({
  moods: fc.array(mood, { minLength: 1, maxLength: 12 }),
  limit: fc.constantFrom(undefined, 1, 3),
  dead: fc.boolean(),
  clients: fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 30 }),
});
type Mood = typeof mood extends fc.Arbitrary<infer T> ? T : never;
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const pathOf = (who: number, n: number): string => `/${who}-${n}`;
const answerOf = (path: string): string =>
  `HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: ${path.length}\r\n\r\n${path}`;
const REQUEST = /^(?:GET|PUT) (\S+) [\s\S]*?\r\n\r\n/;
const ANSWER = /^HTTP\/1.1 (\d+) [^\r]*\r\n[\s\S]*?Content-Length: (\d+)[\s\S]*?\r\n\r\n/;

/** Answers each request with its path. */
function backend(moods: readonly Mood[]): number {
  let turn = 0;
  return raw((end) => {
    for (let found = REQUEST.exec(end.got); found !== null; found = REQUEST.exec(end.got)) {
      const size = found[0].length + (found[0].startsWith("PUT") ? 4 : 0);
      if (end.got.length < size) return;
      end.got = end.got.slice(size);
      const { part, after, end: how, still } = moods[turn++ % moods.length]!;
      const answer = answerOf(found[1]!);
      const at = Math.floor(part * answer.length);
      end.send(answer.slice(0, at));
      setTimeout(() => {
        if (how === "stop") end.stop();
        else if (how === "shutdown") end.socket?.shutdown();
        else if (how === "rest") end.send(answer.slice(at));
      }, after);
      if (still > 0) sleepSync(still);
    }
  }).port;
}

/** Asks for its paths, and waits until it is closed. */
async function live(end: End, steps: readonly Step[], who: number): Promise<void> {
  for (const [n, { put, pause, rest }] of steps.entries()) {
    const path = pathOf(who, n);
    const request = `${put ? "PUT" : "GET"} ${path} HTTP/1.1\r\nHost: a\r\n${put ? "Content-Length: 4\r\n\r\nbody" : "\r\n"}`;
    const at = Math.floor(pause * request.length);
    end.send(request.slice(0, at));
    if (pause < 1) await sleep(TIME);
    end.send(request.slice(at));
    await sleep(rest);
  }
  await end.gone();
}

/** Each answer is to its request, or the one error, which is the last. */
function judge(got: string, asked: readonly string[]): void {
  let rest = got;
  for (let n = 0; rest !== ""; n++) {
    const [head, status, length] = ANSWER.exec(rest) ?? ["", "", ""];
    if (head === "" && "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 9".startsWith(rest.slice(0, 20))) return; // cut
    const body = rest.slice(head.length, head.length + Number(length));
    rest = rest.slice(head.length + body.length);
    if (status === "200") expect(asked[n]!.slice(0, body.length)).toBe(body);
    else expect([status, rest]).toEqual([expect.stringMatching(/^(408|502|503|504)$/), ""]);
    if (body.length < Number(length)) expect(rest).toBe("");
  }
}

const gauges = (served: Served): number[] =>
  ["-1/active", "-1/queued", "0/active", "1/active", "2/active"].map(served.count);

test("who asks gets its own answer, or one error behind which nothing comes, and nothing stays counted", async () => {
  await fc.assert(
    fc.asyncProperty(given, async ({ moods, limit, dead, clients }) => {
      const ports = [backend(moods), backend(moods), ...(dead ? [deadPort()] : [])];
      const names = ["connect", "response", "read", "pool", "head", "body", "idle", "stall"];
      const served = await serve(
        ports.map((port, i) => aBackend(i, port)),
        {
          timeouts: Object.fromEntries(names.map((name) => [name, `${TIME}ms`])),
          queue: { size: 20, timeout: `${TIME}ms` },
          retryOn: ["timeout"],
          ...(limit === undefined ? {} : { limits: { backend: limit } }),
        },
      );
      await Promise.all(
        clients.map(async (steps, k) => {
          const end = client(served);
          await live(end, steps, k);
          judge(
            end.got,
            steps.map((_step, n) => pathOf(k, n)),
          );
        }),
      );
      await settles(() => gauges(served).every((one) => one === 0));
      expect(gauges(served)).toEqual([0, 0, 0, 0, 0]);
      expect(served.logs.filter((line) => line.startsWith("error"))).toEqual([]);
      await served.stop();
    }),
    { numRuns: 12 },
  );
}, 120_000);
