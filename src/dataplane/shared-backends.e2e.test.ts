import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { BackendState } from "../core/backend.ts";
import type { Applier } from "../core/method.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { attachDecap } from "./decap.ts";
import type { ForwardName, PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { type Client, Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: backends of several services: ${missing}`);
const VIP = "125.12.12.77";
const DIRECTOR = "125.12.12.12";
const HELD = process.env.SLUICE_TEST_LONG ? 400 : 40;
const lasts = [20, 21] as const;

/** By service: its method, and the port that its clients ask and, without translation, its servers listen at. */
const services = {
  web: ["direct", 80],
  api: ["direct", 81],
  wrapped: ["tunnel", 82],
  turned: ["nat", 83],
  other: ["nat", 84],
} as const satisfies Record<string, readonly [ForwardName, number]>;
type Name = keyof typeof services;
const names = Object.keys(services) as Name[];
/** With nat, of each service its own: the way back tells them apart by nothing else. */
const natPort = { turned: 8000, other: 8001 } as Record<Name, number>;

describe.skipIf(missing !== null)("hosts that are backends of several services, of all kernel methods", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  const decaps: ReturnType<typeof testDoors>[] = [];
  const appliers = new Map<ForwardName, Applier<PlaneService>>();
  const clients = new Map<Name, Client>();
  const held = new Map<Name, string[]>();
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let round = 0;

  const realServer = async (last: number): Promise<void> => {
    const [host, address] = [net.host(`rs${last}`), `125.12.12.${last}`];
    net.plug(host, net.host("lan"), "eth0", `${address}/24`);
    net.holdVip(host, VIP);
    host.sh(`ip route change 125.12.12.0/24 dev eth0 src ${address} advmss 1440`);
    // What nat has turned goes back by the director, all else on the link.
    host.sh(`ip rule add from ${address} to 125.12.12.100 table 5; ip route add default via ${DIRECTOR} table 5`);
    const own = testDoors();
    decaps.push(own);
    await host.within(() => attachDecap({ device: "eth0", bpfDir: own.bpfDir, vips: [VIP], sources: ["0.0.0.0/0"] }));
    for (const name of names) {
      const port = natPort[name];
      await programs.echo(host, `rs${last}`, port ? address : VIP, port ?? services[name][1]);
    }
  };

  beforeAll(async () => {
    const lan = net.switch("lan");
    director = net.host("director");
    net.plug(director, lan, "eth0", `${DIRECTOR}/24`);
    net.plug(net.host("client"), lan, "eth0", "125.12.12.100/24");
    for (const last of lasts) await realServer(last);
    doors = testDoors();
    for (const name of names) clients.set(name, await programs.client(net.host("client"), "crowd"));
    director.stay();
    for (const method of ["direct", "tunnel", "nat"] as const)
      appliers.set(method, await createXdpApplier(doors, method));
  }, 60_000);
  afterAll(async () => {
    for (const applier of appliers.values()) await applier.remove();
    await programs.stop();
    net.remove();
    doors?.close();
    for (const one of decaps) one.close();
  });

  type States = Partial<Record<number, BackendState>>;
  /** Puts all in force; of services that are not named both backends are up. Gives what refuses it. */
  async function put(
    states: Partial<Record<Name, States>>,
    port = natPort,
    idle?: PlaneService["idle"],
  ): Promise<string[]> {
    const problems: string[] = [];
    for (const [method, applier] of appliers) {
      const mine = names.filter((name) => services[name][0] === method);
      const prepared = await applier.prepare(
        mine.map((name) => {
          const has = Object.entries(states[name] ?? { 20: "up", 21: "up" }) as [string, BackendState][];
          const backends = has.map(([last, state]) =>
            testBackend(Number(last), `125.12.12.${last}`, port[name] ?? null, state),
          );
          const service = testService(name, [{ address: VIP, port: services[name][1], protocol: "tcp" }], backends);
          return { ...service, ...(idle && { idle }) };
        }),
      );
      if (Array.isArray(prepared)) problems.push(...prepared.map((one) => `${one.path.join(".")}: ${one.message}`));
      else await prepared.commit();
    }
    return problems;
  }

  /** New connections of each service reach these hosts and no other; they are held. */
  async function open(who: Record<Name, readonly number[]>): Promise<void> {
    for (const name of names) {
      const made = await clients.get(name)!({ do: "open", address: VIP, port: services[name][1], count: HELD });
      expect([name, ...new Set(made)].sort()).toEqual([name, ...who[name].map((last) => `rs${last} ok`)].sort());
      held.set(name, [...(held.get(name) ?? []), ...made]);
    }
  }

  const speak = (name: Name): Promise<string[]> => clients.get(name)!({ do: "speak", round: round++ });
  const everybody = async (of: readonly Name[] = names): Promise<void> => {
    for (const name of of) expect([name, ...(await speak(name))]).toEqual([name, ...held.get(name)!]);
  };
  const both = Object.fromEntries(names.map((name) => [name, lasts])) as unknown as Record<Name, readonly number[]>;

  test("drained in one service, down in another, removed from a third: each service sees its own state of it", async () => {
    expect(await put({})).toEqual([]);
    await open(both);
    await everybody();
    const states = {
      web: { 20: "draining", 21: "up" },
      wrapped: { 20: "down", 21: "up" },
      turned: { 21: "up" },
    } as const;
    expect(await put(states)).toEqual([]);
    await open({ ...both, web: [21], wrapped: [21], turned: [21] });
    // Those of the one that is down are given up after a while.
    await everybody(["web", "api", "turned", "other"]);
    expect(await put({ web: { 21: "up" }, api: { 20: "up", 21: "down" } })).toEqual([]);
    await open({ ...both, web: [21], api: [20] });
    await everybody(["web", "turned", "other"]);
    expect(await put({})).toEqual([]);
    await open(both);
    await everybody(["web", "turned", "other"]);
  }, 120_000);

  test("with nat a backend goes to another service only when no connection of the former one is left there", async () => {
    const moved = { turned: 8000, other: 8000 } as Record<Name, number>;
    const states = { turned: { 20: "up" }, other: { 21: "up" } } as const;
    const still = 'Backend 125.12.12.21:8000 may still have connections of service "turned"';
    // Flows are forgotten a second after they have ended.
    expect(await put(states, moved, { tcp: 1000, udp: 1000 })).toEqual([
      `services.other.backends: ${still}: its answers to them would come from the wrong VIP.`,
    ]);
    await everybody(["web", "turned", "other"]);
    expect(await put({ turned: { 20: "up" }, other: { 20: "up" } }, natPort, { tcp: 1000, udp: 1000 })).toEqual([]);
    const { pid } = clients.get("turned")!;
    process.kill(pid, "SIGKILL");
    let refused = [still];
    for (let i = 0; i < 300 && refused.length > 0; i++) {
      await Bun.sleep(100);
      refused = await put(states, moved, { tcp: 1000, udp: 1000 });
    }
    expect(refused).toEqual([]);
    const made = await clients.get("other")!({ do: "open", address: VIP, port: services.other[1], count: HELD });
    expect([...new Set(made)]).toEqual(["rs21 ok"]);
  }, 120_000);
});
