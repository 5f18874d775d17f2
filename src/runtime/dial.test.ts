import { afterAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { sleepSync } from "./clock.ts";
import { connectTcp } from "./dial.ts";
import { libc } from "./libc.ts";
import { type ConnectOptions, listenTcp, type TcpSocket } from "./tcp.ts";
import { fullListener } from "./testing.ts";

const undo: (() => void)[] = [];
afterAll(() => {
  for (const step of undo) step();
});

const descriptors = (): number => readdirSync("/proc/self/fd").length;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Dials and gathers what happens, in order, until it is over. */
function dial(port: number, more: Partial<ConnectOptions<string>> = {}, send = "", patience = 3000) {
  return new Promise<string[]>((resolve) => {
    const said: string[] = [];
    const over = (word: string): void => {
      said.push(word);
      resolve(said);
    };
    setTimeout(over, patience, "nothing more").unref();
    connectTcp<string>(
      { address: "127.0.0.1", port, timeout: 2000, data: "mine", ...more },
      {
        open(socket) {
          said.push(`open ${socket.data} ${socket.localPort === more.source?.port}`);
          if (send) socket.write(Buffer.from(send), 0, send.length);
        },
        data(socket, chunk) {
          said.push(chunk.toString());
          socket.terminate();
        },
        end: () => said.push("end"),
        close: () => over("close"),
        failed: (data, why, detail) => over(`failed ${data} ${why} ${detail}`),
      },
    );
  });
}

async function fullPort(): Promise<{ port: number; fd: number }> {
  const full = await fullListener();
  undo.push(full.close);
  return full;
}

test("opens once, talks both ways, and closes", async () => {
  const server = listenTcp(
    "127.0.0.1",
    0,
    { data: (socket, chunk) => void socket.write(chunk, 0, chunk.length) },
    () => 0,
  );
  undo.push(() => server.stop());
  expect(await dial(server.port, {}, "hello")).toEqual(["open mine false", "hello", "close"]);
});

test("a server that speaks first, or resets at once, opens first", async () => {
  const greeting = listenTcp(
    "127.0.0.1",
    0,
    { open: (s) => void s.write(Buffer.from("220"), 0, 3), data() {} },
    () => 0,
  );
  const resetting = listenTcp("127.0.0.1", 0, { open: (s) => s.terminate(), data() {} }, () => 0);
  undo.push(
    () => greeting.stop(),
    () => resetting.stop(),
  );
  expect(await dial(greeting.port)).toEqual(["open mine false", "220", "close"]);
  expect(await dial(resetting.port)).toEqual(["open mine false", "close"]);
});

test("each failure has its reason", async () => {
  const gone = listenTcp("127.0.0.1", 0, { data() {} }, () => 0);
  gone.stop();
  expect(await dial(gone.port)).toEqual(["failed mine refused connect refused"]);
  const foreign = { source: { address: "192.0.2.9", port: 0 } };
  expect(await dial(gone.port, foreign)).toEqual(["failed mine local bind: Cannot assign requested address"]);
  // A datagram address that no route can hold: refused before anything is sent.
  expect((await dial(80, { address: "255.255.255.255" }))[0]).toMatch(/^failed mine (unreachable|local) connect: /);
});

test("a time-out and a cancel give the descriptor back at once", async () => {
  const { port } = await fullPort();
  const before = descriptors();
  expect(await dial(port, { timeout: 100 })).toEqual(["failed mine timeout no answer to connect within 100 ms"]);
  const words: string[] = [];
  const handlers = { data() {}, open: () => words.push("open"), failed: () => words.push("failed") };
  const { cancel } = connectTcp({ address: "127.0.0.1", port, timeout: 60, data: 0 }, handlers);
  cancel();
  await pause(120);
  expect(words).toEqual([]);
  expect(descriptors()).toBe(before);
});

test("one that came to stand while this process stood still opens, though its time is up before anything is read", async () => {
  const server = listenTcp("127.0.0.1", 0, { open: (s) => void s.write(Buffer.from("hi"), 0, 2), data() {} }, () => 0);
  undo.push(() => server.stop());
  // From a handler: behind it the timers have their turn first.
  const dialled = new Promise((resolve) => {
    const greeted = (socket: TcpSocket<number>): void => {
      resolve(dial(server.port, { timeout: 20 }));
      socket.terminate();
      sleepSync(60);
    };
    const to = { address: "127.0.0.1", port: server.port, timeout: 2000, data: 0 };
    connectTcp(to, { data: greeted, failed() {} });
  });
  expect(await dialled).toEqual(["open mine false", "hi", "close"]);
});

test("a fixed source port is free again after a time-out", async () => {
  const { port } = await fullPort();
  const source = { address: "127.0.0.1", port: 30_000 + (process.pid % 2000) };
  for (let i = 0; i < 3; i++) expect((await dial(port, { timeout: 60, source }))[0]).toContain("failed mine timeout");
});

test("a connection that stands only after a second try opens then", async () => {
  const { port, fd } = await fullPort();
  const dialled = dial(port, { timeout: 5000 }, "x", 1800);
  await pause(50);
  libc.listen(fd, 16); // room: the kernel repeats the SYN after a second
  expect((await dialled)[0]).toBe("open mine false");
});

test("who asks only whether a connection comes about hears it at once on the same host, and the server never does", async () => {
  const heard: string[] = [];
  const server = listenTcp(
    "127.0.0.1",
    0,
    { open: () => void heard.push("open"), data: (_socket, chunk) => void heard.push(chunk.toString()) },
    () => undefined,
  );
  undo.push(() => server.stop());
  const before = descriptors();
  const said: string[] = [];
  const ask = (port: number): void => {
    connectTcp<null>(
      { address: "127.0.0.1", port, timeout: 2000, data: null },
      {
        open: () => void said.push("open"),
        data() {},
        failed: (_data, why) => void said.push(why),
        stood: () => void said.push("stood"),
      },
    );
  };
  ask(server.port);
  expect(said).toEqual(["stood"]);
  // The socket is kept for the next one, alone.
  expect(descriptors()).toBe(before + 1);
  for (let i = 0; i < 50; i++) ask(server.port);
  expect(said.splice(1)).toEqual(new Array(50).fill("stood"));
  expect(descriptors()).toBe(before + 1);
  // Connections are accepted in their order: that of this one has no other before it.
  const last = dial(server.port, {}, "last");
  for (let i = 0; i < 200 && heard.length < 2; i++) await pause(10);
  expect(heard).toEqual(["open", "last"]);
  server.stop();
  ask(server.port);
  for (let i = 0; i < 200 && said.length < 2; i++) await pause(10);
  expect(said).toEqual(["stood", "refused"]);
  await last;
});
