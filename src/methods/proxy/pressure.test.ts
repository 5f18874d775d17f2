import { afterEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { aBackend, dial, type End, RawBackend, serveOne } from "../../relay/testing.ts";
import { sleep } from "../../runtime/clock.ts";
import { proxy } from "./index.ts";

/** 64 MiB in the suite; SLUICE_TEST_LONG=1 moves 1 GiB. */
const SIZE = process.env.SLUICE_TEST_LONG ? 2 ** 30 : 2 ** 26;
const BLOCK = 1 << 20;
/** What the relay may hold beside what it had: two chunks of 512 KiB each way, and garbage not yet collected; bytes. */
const GROWTH = 192 * 2 ** 20;

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

/** Blocks that differ, so that a lost or swapped one shows. */
function block(i: number): Buffer {
  const bytes = Buffer.alloc(BLOCK, 65 + (i % 26));
  bytes.writeUInt32BE(i, 0);
  return bytes;
}

/** Sends SIZE bytes as the socket takes them. */
function pour(end: End, hash: ReturnType<typeof createHash>): void {
  let i = 0;
  let rest: Buffer | null = null;
  end.push = () => {
    while (end.socket !== null && (rest !== null || i < SIZE / BLOCK)) {
      if (rest === null) {
        rest = block(i++);
        hash.update(rest);
      }
      const written = end.socket.write(rest, 0, rest.length);
      if (written < 0) return;
      rest = written < rest.length ? rest.subarray(written) : null;
      if (rest !== null) return;
    }
  };
  end.push();
}

/** Counts and hashes what comes, and stops reading for a while every 4 MiB. */
function slowly(end: End, skip: number, hash: ReturnType<typeof createHash>, whole: () => void): void {
  let seen = -skip;
  let pause = 4 << 20;
  end.onData = (self, chunk) => {
    const from = Math.max(0, -seen);
    hash.update(chunk.subarray(Math.min(from, chunk.length)));
    seen += chunk.length;
    if (seen >= SIZE) return whole();
    if (seen < pause) return;
    pause += 4 << 20;
    self.socket!.pause();
    setTimeout(() => self.socket!.resume(), 5);
  };
}

const memory = (): number => process.memoryUsage.rss();

test("a download with a slow reader: equal hashes, bounded memory", async () => {
  const sent = createHash("sha256");
  const head = `HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: ${SIZE}\r\n\r\n`;
  const backend = new RawBackend((end) => {
    end.send(head);
    pour(end, sent);
  });
  const served = await serveOne(proxy, [aBackend(0, backend.port)]);
  const client = dial(served.port);
  cleanup.push(
    () => client.stop(),
    () => backend.stop(),
    served.stop,
  );
  const before = memory();
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, memory());
  }, 20);
  const got = createHash("sha256");
  await new Promise<void>((resolve) => {
    slowly(client, head.length, got, resolve);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  clearInterval(watch);
  expect(got.digest("hex")).toBe(sent.digest("hex"));
  expect(peak - before).toBeLessThan(GROWTH);
}, 120_000);

test("an upload to a slow backend: equal hashes, bounded memory", async () => {
  const sent = createHash("sha256");
  const got = createHash("sha256");
  const backend = new RawBackend(
    () => {},
    (end) => {
      // The head comes alone: the client sends its body only after a while.
      end.onData = (self, chunk) => {
        const text = chunk.toString("latin1");
        const body = text.indexOf("\r\n\r\n") + 4;
        slowly(self, 0, got, () => void self.send("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok"));
        if (body < chunk.length) self.onData!(self, chunk.subarray(body));
      };
    },
  );
  const served = await serveOne(proxy, [aBackend(0, backend.port)]);
  const client = dial(served.port);
  cleanup.push(
    () => client.stop(),
    () => backend.stop(),
    served.stop,
  );
  const before = memory();
  client.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${SIZE}\r\n\r\n`);
  await client.until(({ socket }) => socket !== null);
  pour(client, sent);
  let peak = 0;
  while (!client.got.includes("ok")) {
    peak = Math.max(peak, memory());
    await sleep(20);
  }
  expect(got.digest("hex")).toBe(sent.digest("hex"));
  expect(peak - before).toBeLessThan(GROWTH);
}, 120_000);
