/** What the product relies on in this very version of Bun and of the host: one test for each undocumented behaviour. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { spawnChild } from "./child.ts";
import { sleep } from "./clock.ts";
import { connectTcp } from "./dial.ts";
import { epollOf } from "./epoll.ts";
import { ptr } from "./ffi.ts";
import { libc, setIntOption } from "./libc.ts";
import { closeFd, makeListener } from "./listen.ts";
import { createSharedMemory } from "./memory.ts";
import { SO_RCVBUF, SOL_SOCKET } from "./socket-constants.ts";
import { adoptListener, type ConnectFailure, closeGently, listenTcp, resetGently, type TcpSocket } from "./tcp.ts";
import { adoptUdp, bindUdp } from "./udp.ts";

const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops) stop();
});

const listenerOn = (port: number, protocol: "tcp" | "udp" = "tcp"): number => {
  const made = makeListener({ address: "127.0.0.1", port, protocol });
  if (!made.ok) throw new Error(made.problems[0]!.message);
  return made.value;
};

/** A port that was free a moment ago. */
function freePort(): number {
  const probe = listenTcp("127.0.0.1", 0, { data() {} }, () => null);
  probe.stop();
  return probe.port;
}

test("a listening socket made by hand is adopted, and serves", async () => {
  const port = freePort();
  const echo = adoptListener(listenerOn(port), { data: (socket, chunk) => void socket.write(chunk) }, () => ({ n: 0 }));
  stops.push(echo.stop);
  const got = await new Promise<string>((resolve, reject) => {
    connectTcp(
      { address: "127.0.0.1", port, timeout: 1000, data: null },
      {
        open: (socket) => void socket.write("ping"),
        data(socket, chunk) {
          resolve(chunk.toString());
          closeGently(socket);
        },
        failed: (_data, why) => reject(why),
      },
    );
  });
  expect(got).toBe("ping");
});

const failure = (address: string, port: number, timeout: number): Promise<ConnectFailure | "open"> =>
  new Promise((resolve) => {
    connectTcp(
      { address, port, timeout, data: null },
      { open: (s) => (s.terminate(), resolve("open")), data() {}, failed: (_data, why) => resolve(why) },
    );
  });

test("a refused connect is told from one that gets no answer", async () => {
  expect(await failure("127.0.0.1", freePort(), 1000)).toBe("refused");
  const port = freePort();
  const full = listenerOn(port); // never accepted from: connects queue in the kernel and succeed
  expect(await failure("127.0.0.1", port, 300)).toBe("open");
  closeFd(full);
});

test("a source address and port can be chosen, and used again after a reset", async () => {
  const port = freePort();
  const source = { address: "127.0.0.2", port: freePort() };
  const seen: string[] = [];
  const server = listenTcp(
    "127.0.0.1",
    port,
    {
      open(socket) {
        seen.push(`${socket.remoteAddress}:${socket.remotePort}`);
        socket.write("x");
      },
      data() {},
    },
    () => null,
  );
  stops.push(server.stop);
  for (let round = 0; round < 3; round++)
    await new Promise<void>((resolve, reject) => {
      connectTcp(
        { address: "127.0.0.1", port, source, timeout: 1000, data: null },
        {
          data: (socket) => (socket.terminate(), resolve()),
          failed: (_data, why, detail) => reject(new Error(`${why}: ${detail}`)),
        },
      );
    });
  expect(seen).toEqual(Array(3).fill(`127.0.0.2:${source.port}`));
});

test("an inherited UDP socket answers", async () => {
  const port = freePort();
  const server = await adoptUdp(listenerOn(port, "udp"), (socket, data, from, address) =>
    socket.send(Buffer.concat([data, Buffer.from("!")]), from, address),
  );
  const answer = await new Promise<string>((resolve) => {
    bindUdp("127.0.0.1", 0, (_socket, data) => resolve(data.toString())).then((client) => {
      stops.push(() => client.close());
      client.send(Buffer.from("hello"), port, "127.0.0.1");
    });
  });
  server.close();
  expect(answer).toBe("hello!");
});

test("Bun's epoll is found by a socket that it watches, and is readable when something waits for Bun", async () => {
  const port = freePort();
  let heard = 0;
  const server = await adoptUdp(listenerOn(port, "udp"), () => void heard++);
  stops.push(() => server.close());
  const epoll = epollOf(server.fd);
  expect(readlinkSync(`/proc/self/fd/${epoll}`)).toBe("anon_inode:[eventpoll]");
  const readable = (): boolean => libc.poll(ptr(new Int32Array([epoll, 1])), 1, 0) === 1;
  const client = await bindUdp("127.0.0.1", 0, () => {});
  stops.push(() => client.close());
  client.send(Buffer.from("?"), port, "127.0.0.1");
  expect([heard, readable()]).toEqual([0, true]);
  while (heard === 0) await new Promise((next) => setTimeout(next, 1));
  expect(readable()).toBe(false);
});

test("a child inherits sockets and memory, has no rights left in any thread, and hears us", async () => {
  const memory = createSharedMemory("sluice-contract", 8);
  const port = freePort();
  const fd = listenerOn(port);
  let heard: (message: { cell: number }) => void = () => {};
  const answer = new Promise<{ cell: number }>((resolve) => {
    heard = resolve;
  });
  process.env.BUN_JSC_thresholdForFTLOptimizeAfterWarmUp = "1000000";
  const child = spawnChild<{ add: number }, { cell: number }>({
    program: new URL("./contract-child.ts", import.meta.url).pathname,
    fds: [memory.fd, fd],
    unprivileged: true,
    keepsMemory: 5000,
    hot: true,
    onMessage: (message) => heard(message),
    onExit() {},
  });
  delete process.env.BUN_JSC_thresholdForFTLOptimizeAfterWarmUp;
  stops.push(() => child.kill("SIGKILL"));
  child.send({ add: 41 });
  expect(await answer).toEqual({ cell: 41 });
  expect(memory.cells[0]).toBe(41);
  if (process.getuid?.() === 0) {
    const environment = readFileSync(`/proc/${child.pid}/environ`, "latin1");
    expect(environment).toContain("MIMALLOC_PURGE_DELAY=5000\0");
    expect(environment).not.toContain("thresholdForFTL");
  }
  if (process.getuid?.() === 0 && existsSync("/proc/self/status"))
    for (const thread of readdirSync(`/proc/${child.pid}/task`)) {
      const status = readFileSync(`/proc/${child.pid}/task/${thread}/status`, "utf8");
      expect(status).toMatch(/^Uid:\s65534\s65534\s65534/m);
      expect(status).toMatch(/^CapPrm:\s0+$/m);
      expect(status).toMatch(/^CapEff:\s0+$/m);
      expect(status).toMatch(/^NoNewPrivs:\s1$/m);
    }
  const greeting = await new Promise<string>((resolve, reject) => {
    connectTcp(
      { address: "127.0.0.1", port, timeout: 1000, data: null },
      { data: (socket, chunk) => (socket.terminate(), resolve(chunk.toString())), failed: (_d, why) => reject(why) },
    );
  });
  expect(greeting).toBe("served by the child");
});

test("a client that reads nothing is written a part of an answer, not the four megabytes that the kernel would hold", async () => {
  const port = freePort();
  const answer = Buffer.alloc(16 << 20, "x");
  let written = 0;
  const server = adoptListener(
    listenerOn(port),
    {
      data(socket) {
        for (let taken = 1; taken > 0; written += taken) taken = socket.write(answer, written, answer.length - written);
      },
      drain(socket) {
        written += Math.max(0, socket.write(answer, written, answer.length - written));
      },
    },
    () => null,
  );
  stops.push(server.stop);
  connectTcp(
    { address: "127.0.0.1", port, timeout: 1000, data: null },
    {
      open(socket) {
        stops.push(() => socket.terminate());
        socket.pause();
        socket.write("?");
      },
      data() {},
      failed: (_data, why) => console.error(why),
    },
  );
  let before = -1;
  while (written === 0 || written !== before) {
    before = written;
    await new Promise((next) => setTimeout(next, 50));
  }
  expect(written).toBeLessThan(1 << 20);
});

type Way = (near: TcpSocket<unknown>, far: TcpSocket<unknown>) => void;
const ways: [string, Way][] = [
  ["terminate", (near) => near.terminate()],
  ["close", (near) => near.close()],
  ["a reset by the peer", (_near, far) => far.terminate()],
  ["FIN from both sides", (near, far) => [near, far].forEach((socket) => void socket.shutdown())],
  ["a write to a peer that is gone", (near, far) => (far.terminate(), near.write("x"), near.write("x"))],
];
test.each(ways)("%s: a descriptor is not free before `close` was called", async (_name, end) => {
  let far: TcpSocket<unknown> | null = null;
  let closed = false;
  const open = (socket: TcpSocket<unknown>): void => {
    far = socket;
  };
  const close = (): void => {
    closed = true;
  };
  const server = listenTcp("127.0.0.1", 0, { open, data() {}, end() {} }, () => null);
  stops.push(server.stop);
  const near = await new Promise<TcpSocket<null>>((resolve, reject) => {
    connectTcp(
      { address: "127.0.0.1", port: server.port, timeout: 1000, data: null },
      { open: resolve, data() {}, end() {}, close, failed: reject },
    );
  });
  while (far === null) await sleep(1);
  const { fd } = near;
  end(near, far);
  let early = 0;
  for (let i = 0; i < 500 && !closed; i++) {
    if (!existsSync(`/proc/self/fd/${fd}`)) early++;
    await sleep(1);
  }
  expect([closed, early]).toEqual([true, 0]);
});

test("a gentle reset comes behind all that was written, however slowly the peer reads", async () => {
  const { promise, resolve } = Promise.withResolvers<{ got: number; reset: boolean }>();
  let got = 0;
  let peer: TcpSocket<null> | undefined;
  const server = listenTcp<null>(
    "127.0.0.1",
    0,
    {
      open(socket) {
        peer = socket;
        setIntOption(socket.fd, SOL_SOCKET, SO_RCVBUF, 65_536);
        socket.pause();
      },
      data(socket, chunk) {
        got += chunk.length;
        socket.pause();
        setTimeout(() => socket.resume(), 1);
      },
      end: () => resolve({ got, reset: false }),
      close: (_socket, error) => resolve({ got, reset: error !== undefined }),
    },
    () => null,
  );
  stops.push(server.stop);
  let written = 0;
  await new Promise<void>((done, reject) => {
    connectTcp(
      { address: "127.0.0.1", port: server.port, timeout: 1000, data: null },
      {
        open(socket) {
          const all = Buffer.alloc(8 << 20);
          written = socket.write(all, 0, all.length);
          resetGently(socket);
          done();
        },
        data() {},
        failed: (_data, why) => reject(why),
      },
    );
  });
  for (let i = 0; i < 500 && peer === undefined; i++) await Bun.sleep(10);
  peer!.resume();
  expect(await promise).toEqual({ got: written, reset: true });
});
