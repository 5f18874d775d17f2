import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Serving } from "../../core/method.ts";
import type { Assignment, InheritedSocket } from "../../core/worker-protocol.ts";
import { connectTcp } from "../../runtime/dial.ts";
import { makeListener } from "../../runtime/listen.ts";
import { bindUdp, type UdpSocket } from "../../runtime/udp.ts";
import { aBackend, addressesOf, aService, aSnapshot, ask, fakeDoors, someSettings } from "./testing.ts";
import { workerSide } from "./worker.ts";

/** reply.source: answers come from the address that was asked, of several, of both families, over UDP and TCP. */
const PORT = 10000 + (process.pid % 9000);
const ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"];
const services = [aService("shop")];
const snapshots = [aSnapshot("shop", [aBackend(0, "192.0.2.1")])];
let serving: Serving;
const sockets: UdpSocket[] = [];

beforeAll(async () => {
  const doors = fakeDoors(services, snapshots);
  const inherited = ADDRESSES.flatMap((address) =>
    (["udp", "tcp"] as const).map((protocol): InheritedSocket => {
      const made = makeListener({ address, port: PORT, protocol });
      if (!made.ok) throw new Error(made.problems[0]!.message);
      return { address, port: PORT, protocol, fd: made.value };
    }),
  );
  const assignment: Partial<Assignment> = {
    revision: 1,
    seed: 7,
    services,
    settings: {
      dns: someSettings({ listen: ADDRESSES.map((a) => (a.includes(":") ? `[${a}]:${PORT}` : `${a}:${PORT}`)) }),
    },
    snapshots,
    sockets: inherited,
    connectionLimit: 100,
    geography: { places: {} },
  };
  serving = await workerSide.serve(assignment as Assignment, doors);
});
afterAll(async () => {
  for (const socket of sockets) socket.close();
  await serving.drain(100);
});

test("reply.source: over UDP, also when all are asked from one socket at once", async () => {
  for (const [own, asked] of [
    ["127.0.0.1", ADDRESSES.slice(0, 3)],
    ["::1", ADDRESSES.slice(3)],
  ] as const) {
    const from = new Map<number, string>();
    const { promise, resolve } = Promise.withResolvers<void>();
    const client = await bindUdp(own, 0, (_socket, data, port, address) => {
      from.set(data.readUInt16BE(0), `${address} ${port}`);
      if (from.size === asked.length * 10) resolve();
    });
    sockets.push(client);
    for (let i = 0; i < 10; i++)
      for (const [place, address] of asked.entries())
        client.send(ask({ name: "shop.example.com", id: i * asked.length + place }), PORT, address);
    await promise;
    for (const [id, source] of from) expect(source).toBe(`${asked[id % asked.length]} ${PORT}`);
  }
});

test("reply.source: over TCP, at each address", async () => {
  const query = ask({ name: "shop.example.com" });
  const frame = Buffer.concat([Buffer.from([0, query.length]), query]);
  for (const address of ADDRESSES) {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    connectTcp(
      { address, port: PORT, timeout: 2000, data: null },
      {
        open: (socket) => void socket.write(frame),
        drain() {},
        data: (_socket, chunk) => resolve(Buffer.from(chunk)),
        close() {},
        failed: (_data, why) => reject(new Error(why)),
      },
    );
    expect(addressesOf((await promise).subarray(2))).toEqual(["192.0.2.1"]);
  }
});
