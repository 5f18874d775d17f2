import { afterAll, expect, test } from "bun:test";
import { connectTcp } from "./dial.ts";
import { DirectSocket } from "./direct-socket.ts";
import { ptr } from "./ffi.ts";
import { libc } from "./libc.ts";
import { makeListener } from "./listen.ts";
import { fromSockaddr } from "./socket-address.ts";
import { adoptListener, type TcpHandlers, type TcpSocket } from "./tcp.ts";
import { together } from "./testing.ts";

const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops) stop();
});

interface Held {
  got: string;
  socket: TcpSocket<Held> | null;
  direct: boolean;
}

/** A server whose clients speak first; all that it ever held. */
function serve(address: string, handlers: Partial<TcpHandlers<Held>> & Pick<TcpHandlers<Held>, "data">) {
  const made = makeListener({ address, port: 0, protocol: "tcp" });
  if (!made.ok) throw new Error(made.problems[0]!.message);
  const name = new Uint8Array(28);
  libc.getsockname(made.value, ptr(name), ptr(new Uint32Array([name.length])));
  const all: Held[] = [];
  const listener = adoptListener<Held>(
    made.value,
    {
      ...handlers,
      open(socket) {
        all.push(socket.data);
        socket.data.socket = socket;
        socket.data.direct = socket instanceof DirectSocket;
        handlers.open?.(socket);
      },
      moved(socket) {
        socket.data.socket = socket;
      },
    },
    () => ({ got: "", socket: null, direct: false }),
    true,
  );
  stops.push(listener.stop);
  return { address, port: fromSockaddr(name).port, all };
}

interface Dialled {
  got: string;
  size: number;
  over: string;
  socket: TcpSocket<Dialled> | null;
}

/** Connects and sends `words` at once; what comes back gathers in the result. */
function dial(to: { address: string; port: number }, words: string): Dialled {
  const data: Dialled = { got: "", size: 0, over: "", socket: null };
  connectTcp<Dialled>(
    { ...to, timeout: 5000, data },
    {
      open(socket) {
        data.socket = socket;
        if (words !== "") socket.write(Buffer.from(words), 0, words.length);
      },
      data(_socket, chunk) {
        data.size += chunk.length;
        if (data.size < 1000) data.got += chunk.toString();
      },
      end(socket) {
        data.over = "end";
        socket.shutdown();
      },
      close: (_socket, error) => {
        data.over ||= error ? "reset" : "close";
      },
      failed: (_data, why) => {
        data.over = why;
      },
    },
  );
  return data;
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !what(); i++) await Bun.sleep(10);
  expect(what()).toBe(true);
}

test.each(["127.0.0.1", "::1"])("a burst is answered whole, most of it without Bun's loop, on %s", async (address) => {
  const server = serve(address, {
    data(socket, chunk) {
      const answer = Buffer.from(`${chunk} ${socket.remoteAddress} ${socket.localAddress}`);
      socket.write(answer, 0, answer.length);
      socket.close();
    },
  });
  const got = await together(server, 30, "hello");
  expect(got).toEqual(Array(30).fill(`hello ${address} ${address}`));
  expect(server.all.filter(({ direct }) => direct).length).toBeGreaterThan(20);
});

test("bytes behind the first ones, FIN and close come by Bun", async () => {
  const seen: string[] = [];
  const server = serve("127.0.0.1", {
    data(socket, chunk) {
      socket.data.got += chunk;
      socket.data.socket!.write(chunk, 0, chunk.length);
    },
    end: (socket) => {
      seen.push("end");
      socket.shutdown();
    },
    close: () => seen.push("close"),
  });
  const all = [1, 2, 3, 4].map(() => dial(server, "one"));
  Bun.sleepSync(50);
  await until(() => all.every(({ got }) => got === "one"));
  for (const { socket } of all) socket!.write(Buffer.from(" two"), 0, 4);
  await until(() => all.every(({ got }) => got === "one two"));
  for (const { socket } of all) socket!.shutdown();
  await until(() => seen.filter((word) => word === "close").length === 4);
  expect(seen.filter((word) => word === "end")).toHaveLength(4);
});

test("one that rests answers later, and its end is seen within a moment", async () => {
  let closed = 0;
  const fds: number[] = [];
  const server = serve("127.0.0.1", {
    data(socket, chunk) {
      socket.data.got += chunk;
    },
    rests: () => true,
    close: (socket) => {
      closed++;
      fds.push(socket.fd);
    },
  });
  const all = [1, 2, 3, 4].map(() => dial(server, "one"));
  await until(() => server.all.length === 4 && server.all.every(({ got }) => got === "one"));
  for (const { socket } of server.all.slice(0, 2)) {
    socket!.write(Buffer.from("late"), 0, 4);
    socket!.close();
  }
  await until(() => all.filter(({ got, over }) => got === "late" && over === "end").length === 2);
  expect(closed).toBe(2);
  for (const { socket, got } of all) if (got === "") socket!.terminate();
  await until(() => closed === 4);
  expect(new Set(fds)).toEqual(new Set([-1]));
});

test("what the kernel does not take at once goes on with drain", async () => {
  const LARGE = Buffer.alloc(6 << 20, "x");
  const sent = new Map<Held, number>();
  const push = (socket: TcpSocket<Held>): void => {
    const from = sent.get(socket.data) ?? 0;
    const taken = socket.data.socket!.write(LARGE, from, LARGE.length - from);
    sent.set(socket.data, from + Math.max(0, taken));
    if (from + taken === LARGE.length) socket.data.socket!.shutdown();
  };
  const server = serve("127.0.0.1", { data: push, drain: push });
  const all = [1, 2, 3].map(() => dial(server, "one"));
  await until(() => all.every(({ over }) => over === "end"));
  expect(all.map(({ size }) => size)).toEqual([LARGE.length, LARGE.length, LARGE.length]);
});

test("a client that says nothing is accepted too", async () => {
  const server = serve("127.0.0.1", { data() {} });
  const silent = dial(server, "");
  await until(() => server.all.length === 1);
  silent.socket!.terminate();
});

test("a handler that throws is told to `error`; a reset is a reset", async () => {
  let errors = 0;
  const server = serve("127.0.0.1", {
    data() {
      throw new Error("mine");
    },
    error(socket) {
      errors++;
      socket.terminate();
    },
  });
  const all = [1, 2, 3].map(() => dial(server, "one"));
  await until(() => all.every(({ over }) => over === "reset"));
  expect(errors).toBe(3);
});

test("where connections live on, Bun accepts them; where they end at once again, they pass it by again", async () => {
  let keep = true;
  const server = serve("127.0.0.1", {
    data(socket, chunk) {
      socket.data.socket!.write(chunk, 0, chunk.length);
      if (!keep) socket.data.socket!.close();
    },
  });
  const burst = async (count: number): Promise<number> => {
    const before = server.all.length;
    const dialled = Array.from({ length: count }, () => dial(server, "word"));
    Bun.sleepSync(20);
    await until(() => dialled.every(({ got }) => got === "word"));
    for (const { socket } of dialled) socket?.terminate();
    return server.all.slice(before).filter(({ direct }) => direct).length;
  };
  for (let i = 0; i < 4; i++) await burst(30);
  expect(await burst(30)).toBeLessThan(10);
  keep = false;
  let direct = 0;
  for (let i = 0; i < 40 && direct <= 20; i++) direct = await burst(30);
  expect(direct).toBeGreaterThan(20);
});
