import { expect, test } from "bun:test";
import { lonelyCrowd } from "../../observe/crowd.ts";
import { turn } from "../../runtime/clock.ts";
import type { TcpSocket } from "../../runtime/tcp.ts";
import { TcpServer } from "./tcp-server.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

const records = Array.from({ length: 3000 }, (_, i) => `n${i} A 192.0.2.1`);
const limits = { idle: 10_000, connections: 10, perClient: 10, ipv6Prefix: 64, own: 10 };
const framed = (message: Buffer): Buffer => Buffer.concat([Buffer.from([0, message.length]), message]);

/** A server of one zone without sockets, and a client's connection that takes everything. */
function served() {
  const server = aServer([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])], {
    zones: { "example.com": { records } },
    transfers: { from: ["192.0.2.0/24"] },
  });
  const way = { tcp: true, udpSize: 1232, keepalive: 100, nsid: null };
  const tcp = new TcpServer(server.answerer, way, limits, { now: () => 0, crowd: lonelyCrowd() });
  const taken: Buffer[] = [];
  const closings: string[] = [];
  const socket = {
    data: { input: null, output: null, transfer: null, waiting: false, ended: false, closing: false },
    remoteAddress: "192.0.2.9",
    write: (bytes: Uint8Array, from: number, length: number) =>
      taken.push(Buffer.from(bytes.subarray(from, length))) && length,
    shutdown: () => closings.push("shutdown"),
    terminate: () => closings.push("terminate"),
    pause() {},
    resume() {},
  } as unknown as TcpSocket<never>;
  return { tcp, handlers: tcp.handlers(), socket, taken, closings };
}

test("a transfer to a socket that takes everything lets others have their turn after each message", async () => {
  const { tcp, handlers, socket, taken, closings } = served();
  handlers.open!(socket);
  const axfr = ask({ name: "example.com", type: 252, id: 1 });
  const after = ask({ name: "n7.example.com", id: 2 });
  handlers.data(socket, Buffer.concat([framed(axfr), framed(after)]));
  let [turns, most] = [0, 0];
  for (let seen = 0; ; turns++) {
    const octets = taken.reduce((sum, { length }) => sum + length, 0);
    most = Math.max(most, octets - seen);
    seen = octets;
    if (Buffer.concat(taken).includes(Buffer.from([0, 2, 0x85])) || turns > 1000) break;
    await turn();
  }
  expect(turns).toBeGreaterThan(2);
  expect(most).toBeLessThan(20_000);
  expect(closings).toEqual([]);
  // What was asked behind it is answered when it is through.
  const stream = Buffer.concat(taken);
  const ids: number[] = [];
  for (let at = 0; at < stream.length; at += 2 + stream.readUInt16BE(at)) ids.push(stream.readUInt16BE(at + 2));
  expect(ids.at(-1)).toBe(2);
  expect(ids.filter((id) => id === 1).length).toBe(ids.length - 1);
  handlers.close!(socket);
  await tcp.drain(0);
});

test("connections of all addresses of an IPv6 network are one client's; one that has no address any more is nobody's", async () => {
  const server = aServer([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])]);
  const way = { tcp: true, udpSize: 1232, keepalive: 0, nsid: null };
  const few = { ...limits, perClient: 2 };
  const tcp = new TcpServer(server.answerer, way, few, { now: () => 0, crowd: lonelyCrowd() });
  const handlers = tcp.handlers();
  const sockets: TcpSocket<never>[] = [];
  const cut = (remoteAddress: string | undefined): boolean => {
    let closed = false;
    const socket = { data: { input: null, output: null }, remoteAddress, terminate: () => (closed = true) };
    sockets.push(socket as unknown as TcpSocket<never>);
    handlers.open!(sockets.at(-1)!);
    return closed;
  };
  const from = ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:f::3", "2001:db8:0:1::1", undefined];
  expect(from.map(cut)).toEqual([false, false, true, false, true]);
  for (const socket of sockets) handlers.close!(socket);
  await tcp.drain(0);
});

test("tcp.drain: a client that is about to ask when the server is to end gets its answer, and is told to close", async () => {
  const { tcp, handlers, socket, taken, closings } = served();
  handlers.open!(socket);
  const over = tcp.drain(200);
  expect(closings).toEqual([]);
  const query = ask({ name: "n7.example.com", edns: 1232 });
  const option = [0, 11, 0, 0];
  query.writeUInt16BE(option.length, query.length - 2);
  handlers.data(socket, framed(Buffer.concat([query, Buffer.from(option)])));
  // The keepalive time (RFC 7828 3.1).
  expect([...taken[0]!.subarray(-6)]).toEqual([0, 11, 0, 2, 0, 0]);
  while (closings.length === 0) await Bun.sleep(5);
  expect(closings).toEqual(["shutdown"]);
  handlers.close!(socket);
  await over;
});

test("what was asked before a message that gets no answer is answered, and that is the end", async () => {
  const response = ask({ name: "n8.example.com" });
  response[2]! |= 0x80;
  for (const strange of [Buffer.alloc(0), response]) {
    const { tcp, handlers, socket, taken, closings } = served();
    handlers.open!(socket);
    const [before, after] = [1, 2].map((id) => framed(ask({ name: "n7.example.com", id })));
    handlers.data(socket, Buffer.concat([before!, framed(strange), after!]));
    handlers.data(socket, after!);
    expect(taken.map((answer) => answer.readUInt16BE(2))).toEqual([1]);
    expect(closings).toEqual(["shutdown"]);
    handlers.close!(socket);
    await tcp.drain(0);
  }
});

test("tcp.pipeline: thousands of queries in one piece leave others their turns, are read no further meanwhile, and are all answered in order", async () => {
  const { tcp, handlers, socket, taken, closings } = served();
  const states: string[] = [];
  Object.assign(socket, { pause: () => states.push("pause"), resume: () => states.push("resume") });
  handlers.open!(socket);
  const asked = Array.from({ length: 2000 }, (_, id) => framed(ask({ name: "n7.example.com", id })));
  handlers.data(socket, Buffer.concat(asked));
  // What comes behind, and the end of the client's side, wait as well.
  handlers.data(socket, framed(ask({ name: "n7.example.com", id: 2000 })));
  handlers.end!(socket);
  const ids = (): number[] => {
    const stream = Buffer.concat(taken);
    const found: number[] = [];
    for (let at = 0; at < stream.length; at += 2 + stream.readUInt16BE(at)) found.push(stream.readUInt16BE(at + 2));
    return found;
  };
  let most = 0;
  for (let seen = 0, turns = 0; ; turns++) {
    const count = ids().length;
    most = Math.max(most, count - seen);
    seen = count;
    if (closings.length > 0 || turns > 1000) break;
    expect(states.at(-1)).toBe("pause");
    await turn();
  }
  expect(most).toBeLessThanOrEqual(128);
  expect(ids()).toEqual(Array.from({ length: 2001 }, (_, id) => id));
  expect([states.at(-1), closings]).toEqual(["resume", ["shutdown"]]);
  handlers.close!(socket);
  await tcp.drain(0);
});
