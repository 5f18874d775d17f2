/** Groups of backends through the whole product: checks, the supervisor, a worker, and what people see of it. */
import { afterAll, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import packet, { type Packet } from "dns-packet";
import { optRecord } from "../../src/methods/dns/testing.ts";
import { freePort, sluice, startDaemon, type TestDaemon } from "../lib/daemon.ts";

const NAME = "shop.example.com";
const port = freePort();
const backendPort = freePort();
const EAST = ["127.0.0.11", "127.0.0.12"];
const WEST = ["127.0.0.21"];
const config = {
  version: 1,
  workers: 1,
  dns: { listen: [`127.0.0.1:${port}`], debug: { from: ["127.0.0.0/8"] } },
  services: {
    shop: {
      method: "dns",
      names: [NAME],
      backends: [
        ...EAST.map((address) => ({ address: `${address}:${backendPort}`, tags: ["east"] })),
        ...WEST.map((address) => ({ address: `${address}:${backendPort}`, tags: ["west"] })),
      ],
      check: { tcp: true, interval: "200ms", timeout: "150ms", rise: 1, fall: 2 },
      dns: {
        upThreshold: 60,
        empty: { fallback: ["192.0.2.200"] },
        steer: { by: "failover", groups: ["east", "west"] },
      },
    },
  },
};

const servers = new Map<string, Server>();
let daemon: TestDaemon | null = null;
afterAll(async () => {
  for (const server of servers.values()) server.close();
  await daemon?.dispose();
});

const open = (address: string): Promise<void> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    servers.set(address, server.listen(backendPort, address, resolve));
  });
const close = (address: string): void => {
  servers.get(address)?.close();
  servers.delete(address);
};

/** Asks the server and gives the decoded answer. */
async function ask(type: "A" | "TXT", dnsClass: "IN" | "CH"): Promise<Packet> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const data = (_socket: unknown, answer: Buffer): void => resolve(answer);
  const socket = await Bun.udpSocket({ connect: { hostname: "127.0.0.1", port }, socket: { data } });
  socket.send(
    packet.encode({ type: "query", questions: [{ name: NAME, type, class: dnsClass }], additionals: optRecord(1232) }),
  );
  const answer = await promise;
  socket.close();
  return packet.decode(answer);
}

/** Waits until these addresses are answered, in whatever order. */
async function untilAnswered(...wanted: string[]): Promise<void> {
  let last: string[] = [];
  for (let i = 0; i < 150; i++, await Bun.sleep(100)) {
    last = (await ask("A", "IN")).answers!.map((one) => (one as { data: string }).data).sort();
    if (last.join() === wanted.join()) return;
  }
  throw new Error(`answered ${last}, not ${wanted}`);
}

test("a group under its threshold fails over, is told of, and comes back; at last the fallback is answered", async () => {
  for (const address of [...EAST, ...WEST]) await open(address);
  daemon = await startDaemon(config, "steering");
  await untilAnswered(...EAST);
  close(EAST[0]!);
  await untilAnswered(...WEST);
  const { groups } = daemon.status().services[0]!;
  expect(groups).toEqual([
    { path: "east", up: 1, of: 2, good: false },
    { path: "west", up: 1, of: 1, good: true },
  ]);
  const events = sluice("events", "--instance", daemon.instance).stdout;
  expect(events).toContain("group shop/east FAILED — 1 of 2 up");
  const why = (await ask("TXT", "CH")).answers!.flatMap((one) => (one as { data: Buffer[] }).data.map(String));
  expect(why).toContain('"east": 1 of 2 up, 60 % needed, failed');
  expect(why).toContain('Answered: "west".');
  const explained = sluice("explain", "--dns", NAME, "--instance", daemon.instance).stdout;
  expect(explained).toContain('"east": 1 of 2 up, 60 % needed, failed');
  sluice("set", "tag", "west", "state", "maintenance", "--instance", daemon.instance);
  // Both have failed: who is left anywhere is better than nobody.
  await untilAnswered(EAST[1]!);
  close(EAST[1]!);
  await untilAnswered("192.0.2.200");
  for (const address of EAST) await open(address);
  await untilAnswered(...EAST);
});

test("the first change after a start is told of too, and one that a revision makes", async () => {
  const shop = { ...config.services.shop, check: "none" };
  const dns = { listen: [`127.0.0.1:${freePort()}`] };
  const other = await startDaemon({ ...config, dns, services: { shop } }, "steering-first");
  try {
    const events = () => sluice("events", "--instance", other.instance).stdout;
    sluice("set", "tag", "west", "state", "maintenance", "--instance", other.instance);
    expect(events()).toContain("group shop/west FAILED — 0 of 0 up");
    const backends = shop.backends.map((backend) => ({ ...backend, state: "maintenance" }));
    await other.write({ ...config, dns, services: { shop: { ...shop, backends } } });
    expect(sluice("reload", "--instance", other.instance).code).toBe(0);
    expect(events()).toContain("group shop/east FAILED — 0 of 0 up");
  } finally {
    await other.dispose();
  }
});
