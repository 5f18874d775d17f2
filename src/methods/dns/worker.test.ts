import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import packet from "dns-packet";
import type { Serving } from "../../core/method.ts";
import { connectTcp } from "../../runtime/dial.ts";
import type { TcpSocket } from "../../runtime/tcp.ts";
import { bindUdp } from "../../runtime/udp.ts";
import {
  aBackend,
  addressesOf,
  aService,
  aSnapshot,
  ask,
  assignmentOn,
  type FakeDoors,
  fakeDoors,
  someSettings,
} from "./testing.ts";
import { workerSide } from "./worker.ts";

const PORT = 20000 + (process.pid % 20000);
const many = Array.from({ length: 60 }, (_, i) => aBackend(i, `10.0.2.${i + 1}`));
const services = [aService("shop"), aService("wide")];
const snapshots = [
  aSnapshot("shop", [aBackend(0, "10.0.1.210"), aBackend(1, "10.0.1.211"), aBackend(2, "2001:db8::1")]),
  aSnapshot("wide", many),
];
let doors: FakeDoors;
let serving: Serving;

beforeAll(async () => {
  doors = fakeDoors(services, snapshots);
  const settings = { dns: someSettings({ tcp: { idle: "1s", perClient: 8 } }) };
  serving = await workerSide.serve(assignmentOn(PORT, services, snapshots, { settings }), doors);
});
afterAll(() => serving.drain(100));

async function overUdp(query: Buffer): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const client = await bindUdp("127.0.0.1", 0, (_s, data) => resolve(data));
  client.send(query, PORT, "127.0.0.1");
  const answer = await promise;
  client.close();
  return answer;
}

function framed(message: Buffer): Buffer {
  const frame = Buffer.alloc(message.length + 2);
  frame.writeUInt16BE(message.length);
  message.copy(frame, 2);
  return frame;
}

interface TcpClient {
  socket: TcpSocket<null>;
  closed: Promise<void>;
  /** Writes all, the rest whenever the socket takes more. */
  send(data: Buffer): void;
  /** Resolves with so many messages, in order. */
  messages(count: number): Promise<Buffer[]>;
}

function dial(): Promise<TcpClient> {
  const { promise, resolve, reject } = Promise.withResolvers<TcpClient>();
  const closing = Promise.withResolvers<void>();
  let chunks: Buffer[] = [];
  let input = Buffer.alloc(0);
  let rest = Buffer.alloc(0);
  let wake: () => void = () => {};
  const messages = async (count: number): Promise<Buffer[]> => {
    const found: Buffer[] = [];
    while (found.length < count) {
      if (input.length >= 2 && input.length >= 2 + input.readUInt16BE(0)) {
        const size = input.readUInt16BE(0);
        found.push(input.subarray(2, 2 + size));
        input = input.subarray(2 + size);
      } else if (chunks.length > 0) {
        input = Buffer.concat([input, ...chunks]);
        chunks = [];
      } else {
        await new Promise<void>((next) => {
          wake = next;
        });
      }
    }
    return found;
  };
  connectTcp(
    { address: "127.0.0.1", port: PORT, timeout: 2000, data: null },
    {
      open(socket) {
        const send = (data: Buffer): void => {
          rest = Buffer.from(data.subarray(Math.max(0, socket.write(data))));
        };
        resolve({ socket, closed: closing.promise, send, messages });
      },
      drain(socket) {
        if (rest.length > 0) rest = Buffer.from(rest.subarray(Math.max(0, socket.write(rest))));
      },
      data(_socket, chunk) {
        chunks.push(chunk);
        wake();
      },
      close: () => closing.resolve(),
      failed: (_data, why, detail) => reject(new Error(`${why}: ${detail}`)),
    },
  );
  return promise;
}

describe("over UDP", () => {
  test("A and AAAA are answered, the order turns, backends are counted by first places", async () => {
    const firsts = new Set<string>();
    for (let i = 0; i < 4; i++) {
      const addresses = addressesOf(await overUdp(ask({ name: "shop.example.com" })));
      expect(addresses.toSorted()).toEqual(["10.0.1.210", "10.0.1.211"]);
      firsts.add(addresses[0]!);
    }
    expect(firsts.size).toBe(2);
    // Most of them in a moment.
    for (let i = 0; i < 100 && doors.counts.get("shop/-1/requests") !== 4; i++)
      await new Promise((next) => setTimeout(next, 10));
    expect(doors.counts.get("shop/-1/requests")).toBe(4);
    expect(doors.counts.get("shop/0/requests")).toBe(2);
    expect(addressesOf(await overUdp(ask({ name: "SHOP.Example.com", type: "AAAA" })))).toEqual(["2001:db8::1"]);
  });

  test("a health change is in the next answer", async () => {
    const next = aSnapshot("shop", [aBackend(0, "10.0.1.210", { state: "down" }), aBackend(1, "10.0.1.211")], 2);
    doors.balancer("shop").update(next);
    serving.changed?.("shop");
    expect(addressesOf(await overUdp(ask({ name: "shop.example.com" })))).toEqual(["10.0.1.211"]);
    doors.balancer("shop").update(snapshots[0]!);
    serving.changed?.("shop");
    expect(addressesOf(await overUdp(ask({ name: "shop.example.com" })))).toHaveLength(2);
  });

  test("tcp.whole: what does not fit is truncated, and TCP gives it whole", async () => {
    const short = packet.decode(await overUdp(ask({ name: "wide.example.com" })));
    expect(short.flag_tc).toBe(true);
    expect(short.answers).toHaveLength(0);
    const client = await dial();
    client.socket.write(framed(ask({ name: "wide.example.com" })));
    const [whole] = await client.messages(1);
    expect(new Set(addressesOf(whole!)).size).toBe(60);
    client.socket.terminate();
    expect(addressesOf(await overUdp(ask({ name: "wide.example.com", edns: 4096 })))).toHaveLength(60);
  });

  test("bursts are answered whole", async () => {
    const seen = new Set<number>();
    let all: () => void = () => {};
    const client = await bindUdp("127.0.0.1", 0, (_s, data) => {
      seen.add(data.readUInt16BE(0));
      if (seen.size % 150 === 0) all();
    });
    for (let burst = 0; burst < 3; burst++) {
      const done = new Promise<void>((resolve) => {
        all = resolve;
      });
      const ids = Array.from({ length: 150 }, (_, i) => burst * 150 + i);
      client.sendMany(ids.flatMap((id) => [ask({ name: "shop.example.com", id }), PORT, "127.0.0.1"]));
      await done;
    }
    expect(seen.size).toBe(450);
    client.close();
  });
});

describe("over TCP", () => {
  test("tcp.pipeline: pipelined queries are answered in order, also in crumbs", async () => {
    const client = await dial();
    const stream = Buffer.concat(Array.from({ length: 50 }, (_, id) => framed(ask({ name: "shop.example.com", id }))));
    for (let at = 0; at < stream.length; at += 37) {
      client.socket.write(stream.subarray(at, at + 37));
      if (at % 5 === 0) await new Promise((next) => setTimeout(next, 1));
    }
    const answers = await client.messages(50);
    expect(answers.map((a) => a.readUInt16BE(0))).toEqual(Array.from({ length: 50 }, (_, id) => id));
    client.socket.terminate();
  });

  test("tcp.half: a client that closes its side first gets every answer, then FIN", async () => {
    const client = await dial();
    client.socket.write(framed(ask({ name: "shop.example.com", id: 9 })));
    client.socket.shutdown();
    expect((await client.messages(1))[0]!.readUInt16BE(0)).toBe(9);
    await client.closed;
  });

  test("tcp.slow: a client that does not read slows nobody, and gets all when it reads again", async () => {
    const slow = await dial();
    slow.socket.pause();
    const many = 20_000;
    slow.send(Buffer.concat(Array.from({ length: many }, (_, id) => framed(ask({ name: "wide.example.com", id })))));
    const quick = await dial();
    quick.socket.write(framed(ask({ name: "shop.example.com", id: 1 })));
    expect((await quick.messages(1))[0]!.readUInt16BE(0)).toBe(1);
    quick.socket.terminate();
    slow.socket.resume();
    const answers = await slow.messages(many);
    expect(answers.every((a, id) => a.readUInt16BE(0) === id && a.readUInt16BE(6) === 60)).toBe(true);
    slow.socket.terminate();
  });

  test("tcp.idle: an idle client is closed, with FIN", async () => {
    const client = await dial();
    await client.closed;
  }, 6000);

  test("tcp.limit: one client's connections are limited", async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, dial));
    const ninth = await dial();
    await ninth.closed;
    clients[0]!.socket.write(framed(ask({ name: "shop.example.com", id: 5 })));
    expect((await clients[0]!.messages(1))[0]!.readUInt16BE(0)).toBe(5);
    for (const client of clients) client.socket.terminate();
  });

  test("a message that is a response closes the connection", async () => {
    const client = await dial();
    const response = ask({ name: "shop.example.com" });
    response[2] = 0x80;
    client.socket.write(framed(response));
    await client.closed;
  });
});
