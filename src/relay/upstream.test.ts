import { expect, test } from "bun:test";
import { libc } from "../runtime/libc.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import { makePair } from "../runtime/testing.ts";
import type { Asker } from "./asker.ts";
import { Idle } from "./idle.ts";
import { type BackendLimits, Pool } from "./pool.ts";
import { deadPort } from "./testing.ts";
import type { Upstream } from "./upstream.ts";
import { Wheel } from "./wheel.ts";

/** A pool of connections to `port`, and what it was told of faults of our own. */
function poolOf(port: number): { pool: Pool; faults: string[] } {
  const wheel = new Wheel(() => 0);
  wheel.stop();
  const limits = {
    poolSize: 4,
    poolTimeout: 1000,
    readTimeout: 1000,
    connectTimeout: 1000,
    tunnelTimeout: 1000,
    size: 1024,
    fields: 16,
  };
  const idle = new Idle(limits as BackendLimits, wheel);
  const faults: string[] = [];
  const fault = (error: Error): void => void faults.push(String(error.stack));
  const pool = new Pool(idle, { id: 1, address: "127.0.0.1" } as Pool["backend"], port, () => {}, fault);
  return { pool, faults };
}

const nothing = (): void => {};
/** One who asks and does nothing with the answer. */
const asker = {
  introduction: () => null,
  connected: nothing,
  head: nothing,
  part: nothing,
  sent: nothing,
  whole: nothing,
  wantsFrames: true,
} as unknown as Asker;

/** A connection at work whose socket takes so many bytes at a time. */
function working(pool: Pool, room: number, fd = -1): Upstream {
  const upstream = pool.make(asker);
  const write = (_bytes: Buffer, _start: number, length: number): number => Math.min(length, room);
  const socket = { fd, write, pause: nothing, resume: nothing, shutdown: nothing, terminate: nothing };
  upstream.opened(socket as unknown as TcpSocket<Upstream>);
  upstream.begin(asker);
  return upstream;
}

test("an end behind which nothing can be written either is a reset whose error went to a write of ours", () => {
  for (const [tunnel, gone, told] of [
    [true, true, "failed"],
    [true, false, "half closed"],
    [false, true, "failed"],
    [false, false, "whole"],
  ] as const) {
    const [near, far] = makePair();
    const upstream = working(poolOf(80).pool, 5, near);
    const heard: string[] = [];
    const who = {
      ...asker,
      failed: () => void heard.push("failed"),
      halfClosed: () => void heard.push("half closed"),
      whole: () => void heard.push("whole"),
    } as unknown as Asker;
    if (tunnel) upstream.beginTunnel(who);
    else {
      upstream.begin(who);
      upstream.received(Buffer.from("HTTP/1.1 200 OK\r\n\r\nsome"));
    }
    if (gone) libc.close(far);
    upstream.finished();
    expect(heard).toEqual([told]);
    if (!gone) libc.close(far);
    libc.close(near);
  }
});

test("a connection that has answered before it took the whole request carries no other", () => {
  for (const [room, kept] of [
    [5, true],
    [4, false],
  ] as const) {
    const { pool } = poolOf(80);
    const upstream = working(pool, room);
    upstream.send(Buffer.from("hello"), 0, 5);
    upstream.received(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    upstream.release(true);
    expect([pool.idle.take(1, Number.POSITIVE_INFINITY) !== null, pool.all.size]).toEqual([kept, kept ? 1 : 0]);
  }
});

test("a kept connection that became a tunnel carries no other request, however well that ended", () => {
  const { pool } = poolOf(80);
  const upstream = working(pool, 5);
  upstream.received(Buffer.from("HTTP/1.1 204 No Content\r\n\r\n"));
  upstream.release(true);
  expect(pool.idle.take(1, Number.POSITIVE_INFINITY)).toBe(upstream);
  upstream.begin({ ...asker, switched: () => true, tunnelled: nothing } as unknown as Asker);
  upstream.received(Buffer.from("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"));
  upstream.release(true);
  expect([pool.idle.take(1, Number.POSITIVE_INFINITY), pool.all.size]).toEqual([null, 0]);
});

test("a head that drips is read again once for each of its lines, not for each of its bytes", () => {
  let lines = 0;
  const { pool } = poolOf(80);
  // It is asked for at each field line that is read.
  Object.defineProperty(pool.idle.limits, "fields", {
    get() {
      lines++;
      return 16;
    },
  });
  const upstream = working(pool, 5);
  const fields = "A: b\r\n".repeat(8);
  const head = `HTTP/1.1 200 OK\r\n${fields}C: ${"d".repeat(900)}\r\nContent-Length: 2\r\n\r\n`;
  for (const octet of Buffer.from(`${head}ok`)) upstream.received(Buffer.of(octet));
  expect(lines).toBeLessThanOrEqual(10 * 11);
  upstream.release(true);
  expect(pool.idle.take(1, Number.POSITIVE_INFINITY)).toBe(upstream);
});

test("a head that drips beyond its limit is refused there, though no line of it ends", () => {
  const { pool } = poolOf(80);
  const upstream = working(pool, 5);
  const told: unknown[] = [];
  upstream.begin({ ...asker, failed: (...what: unknown[]) => void told.push(what) } as unknown as Asker);
  const head = Buffer.from(`HTTP/1.1 200 OK\r\nA: ${"b".repeat(1005)}`);
  expect(head.length).toBe(1025);
  for (const octet of head.subarray(0, 1024)) upstream.received(Buffer.of(octet));
  expect(told).toEqual([]);
  upstream.received(head.subarray(1024));
  expect(told).toEqual([["SLUICE_BACKEND_PROTOCOL", "response head too large", false]]);
});

test("what is thrown when a backend refuses the connection is told as a fault of our own", async () => {
  const { pool, faults } = poolOf(deadPort());
  const { promise, resolve } = Promise.withResolvers<void>();
  const failed = (): void => {
    setTimeout(resolve);
    throw new Error("an asker's fault");
  };
  pool.make({ ...asker, failed } as unknown as Asker).connect();
  await promise;
  expect(faults).toEqual([expect.stringContaining("upstream.test.ts")]);
});
