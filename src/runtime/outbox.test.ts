import { expect, test } from "bun:test";
import { sleep } from "./clock.ts";
import { ptr } from "./ffi.ts";
import { libc } from "./libc.ts";
import { OUT, sendOut, sendWith } from "./outbox.ts";
import { AF_UNIX, MSG_DONTWAIT } from "./socket-constants.ts";
import { listenTcp, type TcpSocket } from "./tcp.ts";

const PIECE = 500_000;
const PIECES = 20;

test("what the kernel does not take at once is told, goes on with drain, and arrives in order", async () => {
  const got: Buffer[] = [];
  const listener = listenTcp("127.0.0.1", 0, { data: (_socket, chunk) => void got.push(chunk) }, () => null);
  let [sent, short] = [0, 0];
  const push = (socket: TcpSocket<null>): void => {
    while (sent < PIECE * PIECES) {
      const from = sent % PIECE;
      OUT.fill(Math.floor(sent / PIECE), from, PIECE);
      const taken = sendOut(socket, socket.fd, from, PIECE - from);
      OUT.fill(255, from, PIECE); // never looked at again
      sent += taken;
      if (from + taken < PIECE) {
        short++;
        return;
      }
    }
  };
  const socket = { open: push, drain: push, data() {} };
  const client = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, data: null, socket });
  for (let i = 0; i < 500 && got.reduce((sum, { length }) => sum + length, 0) < PIECE * PIECES; i++) await sleep(10);
  const all = Buffer.concat(got);
  expect(all.length).toBe(PIECE * PIECES);
  for (let i = 0; i < PIECES; i++) expect(new Set(all.subarray(i * PIECE, (i + 1) * PIECE))).toEqual(new Set([i]));
  expect(short).toBeGreaterThan(0);
  client.terminate();
  listener.stop();
});

test("a socket that is closed, or has sent its end, takes nothing: -1", async () => {
  const listener = listenTcp("127.0.0.1", 0, { data() {}, end() {} }, () => null);
  const to = { hostname: "127.0.0.1", port: listener.port, data: null, socket: { data() {} } };
  const [ended, closed] = [await Bun.connect(to), await Bun.connect(to)];
  ended.shutdown();
  closed.terminate();
  expect([ended, closed].map((socket) => sendOut(socket, socket.fd, 0, 10))).toEqual([-1, -1]);
  ended.terminate();
  listener.stop();
});

const SOCK_SEQPACKET = 5;

test("a head and a body behind it are one message, however often and of what size", () => {
  const pair = new Int32Array(2);
  expect(libc.socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ptr(pair))).toBe(0);
  const room = Buffer.alloc(20_000);
  let wrong = 0;
  // More often than it takes until the engine has compiled it and moved what it moves.
  for (let i = 0; i < 20_000; i++) {
    const body = Buffer.alloc(5000 + (i % 12_000), i & 127);
    OUT.write(`head${i % 10}`);
    const sent = sendWith(pair[0]!, 5, body, 3, body.length);
    const got = libc.recv(pair[1]!, ptr(room), room.length, MSG_DONTWAIT);
    const whole = sent === body.length + 2 && got === sent && room.toString("latin1", 0, 5) === `head${i % 10}`;
    if (!whole || room[5] !== (i & 127) || room[got - 1] !== (i & 127)) wrong++;
  }
  expect(wrong).toBe(0);
  for (const fd of pair) libc.close(fd);
});
