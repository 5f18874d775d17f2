import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import fc from "fast-check";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, deadPort, type End, type Served } from "../../relay/testing.ts";
import { now, sleep } from "../../runtime/clock.ts";
import { proxy } from "./index.ts";

/** Clients and backends that do all they should not, at random moments: whatever came, nothing stays counted or held. */

const { raw, serve, client } = httpStage(proxy);

const HOST = "HTTP/1.1\r\nHost: a\r\n";
const BIG = Buffer.alloc(1 << 20, 97);

/** What a client says, whole or not. */
const words: Record<string, string | Buffer> = {
  get: `GET / ${HOST}\r\n`,
  head: `HEAD / ${HOST}\r\n`,
  old: "GET / HTTP/1.0\r\n\r\n",
  put: `PUT / ${HOST}Content-Length: 5\r\n\r\nhello`,
  post: `POST / ${HOST}Content-Length: 5\r\n\r\nhello`,
  "half a head": `GET / ${HOST}X-`,
  "half a body": `POST / ${HOST}Content-Length: 9\r\n\r\nhel`,
  "a large body's begin": `POST / ${HOST}Content-Length: 8388608\r\n\r\n`,
  "a piece of it": BIG,
  chunks: `POST / ${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: x\r\n\r\n`,
  "half a chunk": `PUT / ${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhe`,
  "no chunk": `POST / ${HOST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`,
  expect: `POST / ${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
  upgrade: `GET / ${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
  many: `GET / ${HOST}\r\n`.repeat(30),
  last: `GET / ${HOST}Connection: close\r\n\r\n`,
  own: `OPTIONS * ${HOST}Max-Forwards: 0\r\n\r\n`,
  noise: "\x16\x03\x01\0\r\n\r\n",
};
const deeds: Record<string, (end: End) => void> = {
  "closes its half": (end) => void end.socket?.shutdown(),
  leaves: (end) => end.stop(),
  "stops reading": (end) => void end.socket?.pause(),
  "reads on": (end) => void end.socket?.resume(),
};

const answer = (text: string) => (end: End) => void end.send(text);
const LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** What a backend does with what it has read. */
const moods: Record<string, (end: End) => void> = {
  answers: answer(LENGTH),
  "is ill": answer("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"),
  "says it in chunks": answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: x\r\n\r\n"),
  "breaks a chunk": answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay"),
  "says too much": answer(`${LENGTH}HTTP/1.1 200 OK\r\n\r\n`),
  "says it first": answer(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n\r\n${LENGTH}`),
  "is no server": answer("SSH-2.0\r\n"),
  switches: answer("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nws"),
  "closes at its end": (end) => void (end.send("HTTP/1.1 200 OK\r\n\r\nok"), end.socket!.shutdown()),
  "closes behind it": (end) => void (end.send(LENGTH), end.socket!.shutdown()),
  "says a lot": (end) =>
    void end
      .send(`HTTP/1.1 200 OK\r\nContent-Length: ${8 << 20}\r\n\r\n`)
      .send(BIG)
      .send(BIG),
  breaks: (end) => void (end.send(LENGTH.slice(0, 30)), setTimeout(() => end.stop(), 5)),
  "hangs up": (end) => end.stop(),
  "closes its half": (end) => void end.socket!.shutdown(),
  "answers, and reads no more": (end) => void (end.send(LENGTH), end.socket!.pause()),
  "reads no more": (end) => void end.socket!.pause(),
  "says nothing": () => {},
};

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...Object.keys(words)) },
  { weight: 2, arbitrary: fc.constantFrom(...Object.keys(deeds)) },
  { weight: 2, arbitrary: fc.nat(60) },
);
const story = fc.array(step, { minLength: 1, maxLength: 8 });
const state = fc.constantFrom("up" as const, "down" as const, "draining" as const, "maintenance" as const);
const given = fc.record({
  mode: fc.constantFrom("http", "http", "tcp"),
  limit: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  moods: fc.array(fc.array(fc.constantFrom(...Object.keys(moods)), { minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 3,
  }),
  stories: fc.array(story, { minLength: 1, maxLength: 40 }),
  changes: fc.array(fc.tuple(fc.nat(2), state, fc.nat(40)), { maxLength: 6 }),
});

async function live(end: End, steps: readonly (string | number)[]): Promise<void> {
  for (const one of steps) {
    if (typeof one === "number") await sleep(one);
    else if (one in words) end.send(words[one]!);
    else deeds[one]!(end);
  }
  // A tunnel lives for as long as its ends want it to.
  await sleep(100);
  end.stop();
}

/** Sockets of this process; one may go while they are looked at. */
function sockets(): number {
  const kindOf = (fd: string): string => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  };
  return readdirSync("/proc/self/fd").filter((fd) => kindOf(fd).startsWith("socket:")).length;
}

/** Waits until it holds. */
async function settles(holds: () => boolean): Promise<void> {
  const end = now() + 8000;
  while (!holds() && now() < end) await sleep(20);
}

const gauges = (served: Served): number[] =>
  ["-1/active", "-1/queued", "0/active", "1/active", "2/active", "3/active"].map(served.count);

/** Most connections of one address, which all clients here have. */
const MOST = 60;
const short = { head: "2s", body: "150ms", idle: "2s", stall: "150ms", connect: "100ms", response: "100ms" };

test("whatever clients and backends do, and whenever they leave: no gauge, place, descriptor or budget is kept", async () => {
  await fc.assert(
    fc.asyncProperty(given, async ({ mode, limit, moods: perBackend, stories, changes }) => {
      let calm = false;
      const backends = perBackend.map((list, i) => {
        let turn = 0;
        return raw((end) => {
          if (calm) return i === 0 ? end.stop() : void end.send(LENGTH);
          moods[list[turn++ % list.length]!]!(end);
        });
      });
      const ports = [...backends.map(({ port }) => port), deadPort()];
      const before = sockets();
      const served = await serve(
        ports.map((port, i) => aBackend(i, port)),
        {
          mode,
          timeouts: { ...short, read: "100ms", pool: "100ms", tunnel: "1s" },
          limits: { perAddress: MOST, connections: MOST, ...(limit === undefined ? {} : { backend: limit }) },
          queue: { size: 4, timeout: "60ms" },
          ...(mode === "tcp" ? {} : { retryOn: [503, "timeout"] }),
          retryBudget: { percent: 0, least: 2 },
        },
      );
      const turning = changes.map(async ([id, to, after]) => {
        await sleep(after);
        if (id < ports.length) served.change(id, { state: to });
      });
      await Promise.all([...turning, ...stories.map((steps) => live(client(served), steps))]);
      for (const end of backends.flatMap(({ connections }) => connections)) end.socket?.resume();
      await settles(() => gauges(served).every((one) => one === 0));
      expect(gauges(served)).toEqual([0, 0, 0, 0, 0, 0]);
      for (const id of ports.keys()) served.change(id, { state: "up" });
      if (mode === "http") await servesOn(served, ports.length, () => (calm = true));
      await served.stop();
      for (const end of backends.flatMap(({ connections }) => connections)) end.stop();
      await settles(() => sockets() <= before);
      expect(sockets()).toBeLessThanOrEqual(before);
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
