import { describe, expect, test } from "bun:test";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, type End, type Served } from "../../relay/testing.ts";
import { sleep } from "../../runtime/clock.ts";
import { setIntOption } from "../../runtime/libc.ts";
import { SO_RCVBUF, SOL_SOCKET } from "../../runtime/socket-constants.ts";
import { proxy } from "./index.ts";

/** Only what an end has ended itself looks ended at the other: what was cut is reset there too, behind all that had come. */

const { raw, serve, client } = httpStage(proxy);

const ASK = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
const GO = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
/** More than the buffers of two sockets hold. */
const BIG = Buffer.alloc(24 << 20, 97);

/** Whoever does something, and the other. */
const bothWays = [
  ["upstream", "end"],
  ["end", "upstream"],
] as const;

const reset = (end: End): Promise<string> => end.until(({ closed }) => closed, "the end of the connection");
const wasReset = ({ ended, error }: End): boolean => !ended && error !== undefined;
/** Says that nothing more comes, until the other has seen it. */
async function closeHalf(one: End, other: End): Promise<void> {
  one.socket!.shutdown();
  await other.until(({ ended }) => ended);
}

/** Counts what comes instead of keeping it. */
function counting(end: End): { size: number } {
  const count = { size: 0 };
  end.onData = (_end, chunk) => {
    count.size += chunk.length;
  };
  return count;
}

/** Reads, from its pause on, a little at a time. */
function sipping(end: End): { size: number } {
  setIntOption(end.socket!.fd, SOL_SOCKET, SO_RCVBUF, 65_536);
  const count = { size: 0 };
  end.onData = ({ socket }, chunk) => {
    count.size += chunk.length;
    socket!.pause();
    setTimeout(() => socket!.resume(), 1);
  };
  return count;
}

/** Resolves once a number has stood still for a while. */
async function still(number: () => number): Promise<void> {
  for (let before = -1; before !== number(); await sleep(100)) before = number();
}

describe.each(["tcp", "upgrade"])("%s", (kind) => {
  const mode = kind === "tcp" ? "tcp" : "http";

  /** A client and the backend that it is joined to. */
  async function joined(options: object = {}): Promise<{ served: Served; end: End; upstream: End }> {
    const backend = raw((one) => {
      if (kind === "upgrade" && one.onData === null && one.got.endsWith("\r\n\r\n")) one.send(GO);
    });
    const served = await serve([aBackend(0, backend.port)], { mode, ...options });
    const end = client(served).send(kind === "tcp" ? "\r\n\r\n" : ASK);
    const upstream = await backend.connection(0);
    await upstream.has("\r\n\r\n");
    if (kind === "upgrade") await end.has(GO);
    return { served, end, upstream };
  }

  test("one end that is reset: the other has what came before, and sees that it is not all", async () => {
    for (const [from, to] of bothWays) {
      const pair = await joined();
      pair[from].send("some");
      await pair[to].has("some");
      pair[from].stop();
      await reset(pair[to]);
      expect(wasReset(pair[to])).toBe(true);
      expect(pair.served.count("-1/active")).toBe(0);
    }
  });

  test.each([
    ["while they are in the middle of much", false],
    ["while they are in the middle of much, when the other has closed its half before", true],
  ])("the same %s", async (_when, half) => {
    for (const [from, to] of bothWays) {
      const pair = await joined();
      const count = counting(pair[to]);
      if (half) await closeHalf(pair[to], pair[from]);
      pair[from].send(BIG);
      await pair[to].until(() => count.size > 1 << 20);
      pair[from].stop();
      await reset(pair[to]);
      expect([wasReset(pair[to]), count.size < BIG.length]).toEqual([true, true]);
    }
  });

  test("the same when the other has closed its half before", async () => {
    for (const [from, to] of bothWays) {
      const pair = await joined();
      await closeHalf(pair[to], pair[from]);
      pair[from].send("some");
      await pair[to].has("some");
      pair[from].stop();
      await reset(pair[to]);
      expect(wasReset(pair[to])).toBe(true);
    }
  });

  test("the same when its last bytes are there together with the reset", async () => {
    for (const [from, to] of bothWays) {
      const pair = await joined();
      const count = counting(pair[to]);
      // The kernel's windows are wide after it.
      pair[from].send(BIG);
      await pair[to].until(() => count.size === BIG.length);
      await closeHalf(pair[to], pair[from]);
      pair[from].send(BIG.subarray(0, 200_000)).stop();
      await reset(pair[to]);
      expect(wasReset(pair[to])).toBe(true);
    }
  });

  test("what has come from a backend before it resets arrives, however slowly the client reads", async () => {
    const { served, end, upstream } = await joined();
    const count = sipping(end);
    end.socket!.pause();
    upstream.send(BIG);
    await still(() => served.count("-1/bytesOut"));
    upstream.stop();
    await still(() => served.count("-1/active"));
    end.socket!.resume();
    await reset(end);
    expect([end.got.length + count.size, wasReset(end)]).toEqual([served.count("-1/bytesOut"), true]);
  });

  test("a tunnel that is cut here is reset at both its ends", async () => {
    for (const cut of [
      (served: Served) => void served.serving.drain(0),
      (served: Served) => served.change(0, { state: "maintenance" }),
    ]) {
      const { served, end, upstream } = await joined();
      cut(served);
      await Promise.all([reset(end), reset(upstream)]);
      expect([end, upstream].map(wasReset)).toEqual([true, true]);
    }
    const { end, upstream } = await joined({ timeouts: { tunnel: "1s" } });
    await Promise.all([reset(end), reset(upstream)]);
    expect([end, upstream].map(wasReset)).toEqual([true, true]);
  });

  test("both ends close their halves, in either order: nobody is reset", async () => {
    for (const [first, then] of bothWays) {
      const pair = await joined();
      await closeHalf(pair[first], pair[then]);
      pair[then].send("last words").socket!.shutdown();
      await pair[first].has("last words");
      for (const one of [pair.end, pair.upstream]) await reset(one);
      expect([pair.end.error, pair.upstream.error]).toEqual([undefined, undefined]);
    }
  });
});

test("an answer that ends by close, reset behind much of it: its client gets that, and sees that it is not all", async () => {
  const backend = raw((one) => void one.send("HTTP/1.1 200 OK\r\n\r\n").send(BIG));
  const served = await serve([aBackend(0, backend.port)]);
  const end = client(served);
  await end.until(({ socket }) => socket !== null);
  end.socket!.pause();
  end.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const count = sipping(end);
  await still(() => served.count("-1/bytesOut"));
  backend.connections[0]!.stop();
  await still(() => served.count("-1/active"));
  end.socket!.resume();
  await reset(end);
  expect([count.size, wasReset(end)]).toEqual([served.count("-1/bytesOut"), true]);
});

test("an answer in chunks that breaks off: a client of HTTP/1.0, who gets it without them, is reset", async () => {
  const backend = raw((one) => {
    one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").socket!.shutdown();
  });
  const served = await serve([aBackend(0, backend.port)]);
  const end = client(served).send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  expect(await reset(end)).toEndWith("\r\n\r\nhello");
  expect(wasReset(end)).toBe(true);
});
