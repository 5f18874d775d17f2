import { expect, test } from "bun:test";
import { letGo } from "./chunk.ts";
import { sleep } from "./clock.ts";
import { listenTcp } from "./tcp.ts";

test("a chunk that is let go is empty, and its memory is free at once", () => {
  const chunk = Buffer.from(new ArrayBuffer(64 * 1024));
  const part = chunk.subarray(10, 20);
  letGo(chunk);
  expect([chunk.length, part.length]).toEqual([0, 0]);
});

test("small chunks and parts of something keep what they have", () => {
  const small = Buffer.from(new ArrayBuffer(100));
  const part = Buffer.from(new ArrayBuffer(64 * 1024), 0, 32 * 1024);
  const pooled = Buffer.from("x".repeat(3000));
  for (const chunk of [small, part, pooled]) {
    const { length } = chunk;
    letGo(chunk);
    expect(chunk.length).toBe(length);
  }
});

test("every chunk of a socket has memory of its own: letting one go leaves the others whole", async () => {
  const size = 4 << 20;
  const kept: Buffer[] = [];
  let seen = 0;
  const listener = listenTcp(
    "127.0.0.1",
    0,
    {
      data(_socket, chunk) {
        seen += chunk.length;
        if (kept.length % 2 === 0) kept.push(chunk);
        else {
          kept.push(Buffer.from("gone"));
          letGo(chunk);
        }
      },
    },
    () => null,
  );
  const rest = { bytes: Buffer.alloc(size, "abcd") };
  const push = (socket: Bun.Socket<typeof rest>): void => {
    const written = socket.write(rest.bytes);
    rest.bytes = rest.bytes.subarray(Math.max(0, written));
  };
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    data: rest,
    socket: { open: push, drain: push, data() {} },
  });
  for (let i = 0; i < 500 && seen < size; i++) await sleep(10);
  expect(seen).toBe(size);
  for (const chunk of kept.filter((_, i) => i % 2 === 0)) {
    expect(chunk.length).toBeGreaterThan(0);
    expect(Buffer.alloc(chunk.length, "abcd").includes(chunk.subarray(0, 4))).toBe(true);
    expect(new Set(chunk)).toEqual(new Set(Buffer.from("abcd")));
  }
  client.terminate();
  listener.stop();
});
