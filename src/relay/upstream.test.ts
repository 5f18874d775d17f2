import { expect, test } from "bun:test";
import type { TcpSocket } from "../runtime/tcp.ts";
import type { Asker } from "./asker.ts";
import { Idle } from "./idle.ts";
import { type BackendLimits, Pool } from "./pool.ts";
import type { Upstream } from "./upstream.ts";
import { Wheel } from "./wheel.ts";

/** A backend connection whose socket takes so many bytes, and one who asks over it and gets all answers. */
function connected(room: number): { pool: Pool; upstream: Upstream } {
  const wheel = new Wheel(() => 0);
  wheel.stop();
  const limits = { poolSize: 4, poolTimeout: 1000, readTimeout: 1000, size: 1024, fields: 16 } as BackendLimits;
  const pool = new Pool(new Idle(limits, wheel), { id: 1, address: "127.0.0.1" } as Pool["backend"], 80, () => {});
  const nothing = (): void => {};
  const asker = { introduction: () => null, connected: nothing, head: nothing, part: nothing, sent: nothing };
  const upstream = pool.make({ ...asker, whole: nothing, wantsFrames: true } as unknown as Asker);
  const write = (_bytes: Buffer, _start: number, length: number): number => Math.min(length, room);
  const socket = { fd: -1, write, pause: nothing, resume: nothing, terminate: nothing };
  upstream.opened(socket as unknown as TcpSocket<Upstream>);
  upstream.begin(upstream.worksFor!);
  return { pool, upstream };
}

test("a connection that has answered before it took the whole request carries no other", () => {
  for (const [room, kept] of [
    [5, true],
    [4, false],
  ] as const) {
    const { pool, upstream } = connected(room);
    upstream.send(Buffer.from("hello"), 0, 5);
    upstream.received(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    upstream.release(true);
    expect([pool.idle.take(1, Number.POSITIVE_INFINITY) !== null, pool.all.size]).toEqual([kept, kept ? 1 : 0]);
  }
});
