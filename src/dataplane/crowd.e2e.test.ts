import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { BackendState } from "../core/backend.ts";
import type { Applier } from "../core/method.ts";
import type { Child } from "../runtime/child.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { attachDecap } from "./decap.ts";
import type { ForwardName, PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: a crowd over changes: ${missing}`);
/** Real connections that are held over all changes, and new ones that are made after each. */
const HELD = process.env.SLUICE_TEST_LONG ? 20_000 : 1000;
const NEW = HELD / 20;
/** Programs that hold them: none may have more than some ten thousand descriptors. */
const CLIENTS = 4;
/** Each method when there is time. */
const methods: readonly ForwardName[] = process.env.SLUICE_TEST_LONG ? ["direct", "tunnel", "nat"] : ["direct"];

const DIRECTOR = "125.12.12.12";
const ids = [1, 2, 3, 4];

/** Where clients go, and where the servers of a method listen. */
const plan = (method: ForwardName) => {
  const nat = method === "nat";
  return {
    vip: nat ? DIRECTOR : "125.12.12.77",
    address: (id: number): string => `${nat ? "10.0.1" : "125.12.12"}.${20 + id}`,
    /** Of the backend in the configuration. */
    port: nat ? 8000 : null,
    listens: (id: number): [address: string, port: number] =>
      nat ? [`10.0.1.${20 + id}`, 8000] : ["125.12.12.77", 80],
  };
};

/** A host of the method's real servers, or of its backends behind the director. */
async function plugServer(
  net: TestNetwork,
  method: ForwardName,
  id: number,
  decaps: ReturnType<typeof testDoors>[],
): Promise<void> {
  const host = net.host(`rs${id}`);
  const { vip, address } = plan(method);
  net.plug(host, net.host(method === "nat" ? "inside" : "lan"), "eth0", `${address(id)}/24`);
  host.sh("echo 8192 > /proc/sys/net/core/somaxconn; echo 8192 > /proc/sys/net/ipv4/tcp_max_syn_backlog");
  if (method === "nat") {
    host.sh("ip route add default via 10.0.1.50");
    return;
  }
  net.holdVip(host, vip);
  if (method === "direct") return;
  // The outer header needs room in the director's packets.
  host.sh(`ip route change 125.12.12.0/24 dev eth0 src ${address(id)} advmss 1440`);
  const doors = testDoors();
  decaps.push(doors);
  await host.within(() =>
    attachDecap({ device: "eth0", bpfDir: doors.bpfDir, vips: [vip], sources: [DIRECTOR, "172.16.0.0/16"] }),
  );
}

interface Wanted {
  state: BackendState;
  weight?: number;
}

describe.skipIf(missing !== null).each(methods)("a crowd of TCP connections through %s", (method) => {
  const { vip, address, port, listens } = plan(method);
  const decaps: ReturnType<typeof testDoors>[] = [];
  const net = new TestNetwork();
  const programs = new Programs();
  const servers = new Map<number, Child<unknown>>();
  let director: TestNetns;
  const clients: Client[] = [];
  let doors: ReturnType<typeof testDoors>;

  const serve = async (id: number): Promise<void> => {
    servers.set(id, await programs.echo(net.host(`rs${id}`), `rs${id}`, ...listens(id)));
  };

  beforeAll(async () => {
    doors = testDoors();
    const lan = net.switch("lan");
    director = net.host("director");
    net.plug(director, lan, "eth0", `${DIRECTOR}/24`);
    if (method === "nat") net.plug(director, net.switch("inside"), "eth1", "10.0.1.50/24");
    net.plug(net.host("client"), lan, "eth0", "125.12.12.100/24");
    net.host("client").sh("echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range");
    for (const id of ids) {
      await plugServer(net, method, id, decaps);
      await serve(id);
    }
    for (let i = 0; i < CLIENTS; i++) clients.push(await programs.client(net.host("client"), "crowd"));
  }, 60_000);
  afterAll(async () => {
    await programs.stop();
    net.remove();
    doors?.close();
    for (const one of decaps) one.close();
  });

  /** By client, each in the order of its connections' opening. */
  const together = (command: object): Promise<string[][]> => Promise.all(clients.map((client) => client(command)));
  const open = (count: number): Promise<string[][]> =>
    together({ do: "open", address: vip, port: 80, count: Math.ceil(count / CLIENTS) });

  async function put(applier: Applier<PlaneService>, wanted: Record<number, Wanted>): Promise<void> {
    const backends = Object.entries(wanted).map(([id, { state, weight = 1 }]) => ({
      ...testBackend(Number(id), address(Number(id)), port, state),
      weight,
    }));
    const prepared = await applier.prepare([
      testService("web", [{ address: vip, port: 80, protocol: "tcp" }], backends),
    ]);
    if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
    await prepared.commit();
  }

  const up: Wanted = { state: "up" };
  /** What is in force after each change, and what happens to a server at that time. */
  const changes: { name: string; wanted: Record<number, Wanted>; kill?: number; start?: number }[] = [
    { name: "4 is added", wanted: { 1: up, 2: up, 3: up, 4: up } },
    { name: "1 gets more weight", wanted: { 1: { ...up, weight: 3 }, 2: up, 3: up, 4: up } },
    { name: "2 drains", wanted: { 1: { ...up, weight: 3 }, 2: { state: "draining" }, 3: up, 4: up } },
    { name: "3 dies", wanted: { 1: up, 2: { state: "draining" }, 3: { state: "down" }, 4: up }, kill: 3 },
    { name: "3 recovers", wanted: { 1: up, 2: { state: "draining" }, 3: up, 4: up }, start: 3 },
    { name: "4 is removed", wanted: { 1: up, 2: { state: "draining" }, 3: up } },
    { name: "4 comes back", wanted: { 1: up, 2: { state: "draining" }, 3: up, 4: up } },
    { name: "2 is in use again", wanted: { 1: up, 2: up, 3: up, 4: up } },
    { name: "only 1 and 2 are left", wanted: { 1: up, 2: up } },
    { name: "all are back", wanted: { 1: up, 2: up, 3: up, 4: up } },
  ];

  const mayServe = (wanted: Record<number, Wanted>): string[] =>
    Object.entries(wanted)
      .filter(([, { state }]) => state === "up")
      .map(([id]) => `rs${id}`);

  /** New connections reach all who may serve, and nobody else, at once. */
  async function newcomers(wanted: Record<number, Wanted>): Promise<string[][]> {
    const made = await open(NEW);
    expect(made.flat().filter((text) => !text.endsWith(" ok"))).toEqual([]);
    expect([...new Set(made.flat().map((text) => text.split(" ")[0]!))].sort()).toEqual(mayServe(wanted));
    return made;
  }

  test(`${HELD} connections and ${NEW} more after each of ten changes: those to a living backend lose no byte`, async () => {
    await director.within(async () => {
      const applier = await createXdpApplier(doors, method);
      await put(applier, { 1: up, 2: up, 3: up });
      let known = await open(HELD);
      expect(known.flat().filter((text) => !text.endsWith(" ok"))).toEqual([]);
      for (const [round, { name, wanted, kill, start }] of changes.entries()) {
        if (start !== undefined) await serve(start);
        if (kill !== undefined) {
          servers.get(kill)!.kill("SIGKILL");
          await servers.get(kill)!.exited;
        }
        await put(applier, wanted);
        const made = await newcomers(wanted);
        // Whoever was at the server that was killed has died with it.
        const before = known.flatMap((texts, i) => [...texts, ...made[i]!]);
        const lives = before.map((text) => (text === `rs${kill} ok` ? `rs${kill} dead` : text));
        known = await together({ do: "speak", round });
        const broken = known
          .flat()
          .filter((text, i) => (lives[i]!.includes("dead") ? !text.includes("dead") : text !== lives[i]));
        expect(`${name}: ${broken.slice(0, 3).join(", ")}`).toBe(`${name}: `);
      }
      const counts = (await applier.counts()).get("web")!;
      expect(counts.service.packetsIn).toBeGreaterThan(HELD * changes.length);
      await applier.remove();
    });
  }, 600_000);
});
