import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { connectTcp } from "./dial.ts";
import { type Moved, moveBytes } from "./splice.ts";
import { listenTcp, type TcpSocket } from "./tcp.ts";

const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops) stop();
});

interface End {
  socket: TcpSocket<End> | null;
  onData: ((chunk: Buffer) => void) | null;
  onDrain: (() => void) | null;
}
const end = (): End => ({ socket: null, onData: null, onDrain: null });

/** Both ends of a connection. */
async function pair(): Promise<[End, End]> {
  const theirs = end();
  const handlers = {
    data: (socket: TcpSocket<End>, chunk: Buffer) => socket.data.onData?.(chunk),
    drain: (socket: TcpSocket<End>) => socket.data.onDrain?.(),
  };
  const listener = listenTcp<End>(
    "127.0.0.1",
    0,
    {
      ...handlers,
      open(socket) {
        socket.data.socket = socket;
      },
    },
    () => theirs,
  );
  stops.push(listener.stop);
  const ours = end();
  await new Promise<void>((resolve, reject) => {
    connectTcp<End>(
      { address: "127.0.0.1", port: listener.port, timeout: 5000, data: ours },
      {
        ...handlers,
        open(socket) {
          ours.socket = socket;
          resolve();
        },
        failed: (_data, _why, detail) => reject(new Error(detail)),
      },
    );
  });
  for (let i = 0; i < 500 && theirs.socket === null; i++) await Bun.sleep(10);
  stops.push(() => ours.socket!.terminate());
  return [ours, theirs];
}

test("bytes move in order; what the other side does not take comes back, and the pipe is empty again", async () => {
  const [source, from] = await pair();
  const [to, sink] = await pair();
  const SIZE = 24 * 1024 * 1024;
  const sent = Buffer.alloc(SIZE);
  for (let i = 0; i < SIZE; i += 4) sent.writeUInt32LE(i, i);
  from.socket!.pause();
  sink.socket!.pause();
  let poured = 0;
  const pour = (): void => {
    poured += Math.max(0, source.socket!.write(sent, poured, SIZE - poured));
  };
  source.onDrain = pour;
  pour();
  let waiting: Buffer | null = null;
  let [moved, stuck] = [0, 0];
  const send = (): void => {
    const written = Math.max(0, to.socket!.write(waiting!, 0, waiting!.length));
    waiting = written < waiting!.length ? waiting!.subarray(written) : null;
  };
  to.onDrain = () => waiting !== null && send();
  const hash = createHash("sha256");
  let got = 0;
  sink.onData = (chunk) => {
    hash.update(chunk);
    got += chunk.length;
  };
  for (let i = 0; i < 5000 && got < SIZE; i++) {
    // Nobody reads in the beginning: so the other side fills up.
    if (i === 100) sink.socket!.resume();
    const now: Moved = waiting === null ? moveBytes(from.socket!, to.socket!, SIZE - moved) : { taken: 0, stuck: null };
    moved += now.taken;
    if (now.stuck !== null) {
      stuck++;
      waiting = now.stuck;
      send();
    }
    await Bun.sleep(1);
  }
  expect([moved, got]).toEqual([SIZE, SIZE]);
  expect(hash.digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
  expect(stuck).toBeGreaterThan(0);
});

test("nothing there, and an end, are 0: Bun says which", async () => {
  const [source, from] = await pair();
  const [to] = await pair();
  expect(moveBytes(from.socket!, to.socket!, 100)).toEqual({ taken: 0, stuck: null });
  from.socket!.pause();
  source.socket!.shutdown();
  await Bun.sleep(20);
  expect(moveBytes(from.socket!, to.socket!, 100)).toEqual({ taken: 0, stuck: null });
});

test("a side that is gone leaves the bytes with the caller, and no signal ends the process", async () => {
  const [source, from] = await pair();
  const [to, sink] = await pair();
  from.socket!.pause();
  to.socket!.pause();
  sink.socket!.terminate();
  await Bun.sleep(20);
  source.socket!.write(Buffer.from("lost"), 0, 4);
  let taken = 0;
  for (let i = 0; i < 200 && taken === 0; i++) {
    const now = moveBytes(from.socket!, to.socket!, 100);
    taken = now.taken;
    if (taken > 0) expect(String(now.stuck)).toBe("lost");
    await Bun.sleep(5);
  }
  expect(taken).toBe(4);
});

test("a source that was reset says so to whoever moves its bytes, for an error is read but once", async () => {
  const [source, from] = await pair();
  const [to] = await pair();
  expect(moveBytes(from.socket!, to.socket!, 1000).taken).toBe(0);
  source.socket!.terminate();
  expect(moveBytes(from.socket!, to.socket!, 1000).taken).toBe(-1);
});
