import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { SMALL_BUFFERS, startDownloads } from "../../src/lab/demo/downloads.ts";
import { countLosses, readLoad } from "../../src/lab/demo/losses.ts";
import { shareError, shareLimit, toShares } from "../../src/lab/demo/shares.ts";
import type { HostProcess, Lab } from "../../src/lab/lab.ts";
import { projectDir, sluiceCommand } from "../../src/lab/paths.ts";
import { processesIn, signal } from "../../src/lab/processes.ts";
import { accessLog, programCommand } from "../../src/lab/start.ts";
import { run } from "../../src/runtime/child.ts";
import { sleep } from "../../src/runtime/clock.ts";
import { configFile, eventually, type Sluice, startSluice, withLab } from "../lib/lab.ts";
import { noLab, noXdp } from "../lib/skip.ts";

const CLIENT = "202.20.20.20";
const VIP = "125.12.12.77";
const NAME_SERVER = "125.12.12.53";

/** How clients arrive at the first tier; everything else is the same for both. */
interface Tier {
  topology: "tiers-direct" | "tiers-dns";
  url: string;
  /** Where names are asked; null where clients use the VIP. */
  nameServer: string | null;
  /** How long clients may keep to a proxy that is out, ms. */
  memory: number;
  proxies: [string, string, string];
  reason: string | null;
}

const tiers: Tier[] = [
  {
    topology: "tiers-dns",
    url: "http://www.example.com",
    nameServer: NAME_SERVER,
    memory: 1000,
    proxies: ["125.12.12.31:80", "125.12.12.32:80", "125.12.12.33:80"],
    reason: noLab,
  },
  {
    topology: "tiers-direct",
    url: `http://${VIP}`,
    nameServer: null,
    memory: 0,
    proxies: ["125.12.12.31", "125.12.12.32", "125.12.12.33"],
    reason: noXdp,
  },
];

const INTERVAL = 500;
const FALL = 2;

/** The example's configuration with quick checks and a short TTL. */
const quick = (topology: string, file: string): string =>
  readFileSync(`${projectDir}/examples/${topology}/${file}`, "utf8")
    .replace("interval: 1s", `interval: ${INTERVAL}ms`)
    .replace("ttl: 5s", "ttl: 1s");

interface Front {
  lab: Lab;
  tier: Tier;
  director: Sluice;
}

/** Commands of a client run with the tier's name server as their resolver. */
function resolving({ lab, tier }: Front, command: readonly string[]): string[] {
  if (!tier.nameServer) return [...command];
  const file = `${lab.folder}/resolv.conf`;
  return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', file, ...command];
}

/** Clients that go on sending until they are stopped; with names, several, since each keeps what it was told. */
async function startLoad({ lab, tier }: Front, tag: string): Promise<{ stop(): Promise<string[]> }> {
  const clients = tier.nameServer ? 4 : 1;
  const logs = Array.from({ length: clients }, (_, i) => `${lab.folder}/${tag}-${i}.log`);
  const resolve = tier.nameServer ? ["--resolve", tier.nameServer] : [];
  const loads: HostProcess[] = await Promise.all(
    logs.map((log) => {
      const rate = ["--rate", String(60 / clients), "--timeout", "2000"];
      return lab.spawn(
        "client",
        programCommand("http-load", "--url", `${tier.url}/`, ...rate, ...resolve, "--log", log),
      );
    }),
  );
  await Promise.all(loads.map((load) => load.says("ready:")));
  return {
    async stop() {
      await Promise.all(loads.map((load) => load.stop()));
      return logs;
    },
  };
}

/** Waits until exactly these proxies get new work. */
const eligible = ({ tier, director }: Front, expected: readonly string[]): Promise<unknown> =>
  eventually(`${expected.join(", ")} eligible on ${tier.topology}`, async () => {
    const { stdout } = await run([sluiceCommand, "status", "--json", "--instance", director.instance]);
    const { services } = JSON.parse(stdout) as { services: { backends: { name: string; eligible: boolean }[] }[] };
    const now = services[0]!.backends.filter((b) => b.eligible).map((b) => b.name);
    return now.toSorted().join() === expected.toSorted().join();
  });

/** The real backends see the client's own address, and the proxy that it came through. */
async function keepsClientAddress(front: Front): Promise<void> {
  const command = resolving(front, ["curl", "-4sf", "--max-time", "5", `${front.tier.url}/headers`]);
  for (let i = 0; i < 4; i++) {
    const { stdout } = await front.lab.exec("client", command);
    const headers = new Map((JSON.parse(stdout) as { headers: [string, string][] }).headers);
    expect(headers.get("x-forwarded-for")).toBe(CLIENT);
  }
}

/** Requests per proxy, by the address that the real backends saw them come from. */
async function sharesOf(front: Front, requests: number): Promise<Record<string, number>> {
  const { lab, tier } = front;
  const one = `curl -4sf --max-time 5 -o /dev/null ${tier.url}/shares`;
  const loop = tier.nameServer
    ? `i=0; while [ $i -lt ${requests} ]; do ${one}; i=$((i+1)); done`
    : `curl -sf -H 'Connection: close' --max-time 40 '${tier.url}/shares?[1-${requests}]'`;
  await lab.exec("client", resolving(front, ["sh", "-c", loop]), { timeout: 50_000 });
  const counts: Record<string, number> = {};
  for (const line of ["backend1", "backend2"].flatMap((b) => readFileSync(accessLog(lab, b), "utf8").split("\n"))) {
    if (!line.includes('"/shares')) continue;
    const { client } = JSON.parse(line) as { client: string };
    counts[client] = (counts[client] ?? 0) + 1;
  }
  return counts;
}

async function addsThird(front: Front): Promise<void> {
  const { lab, tier, director } = front;
  const [, second, third] = tier.proxies;
  await startSluice(lab, "proxy3", quick(tier.topology, "proxy.yaml"));
  const load = await startLoad(front, "third");
  configFile(lab, "director", quick(tier.topology, "director.yaml").replace(second, `${second}, ${third}`));
  const reloaded = await run([sluiceCommand, "reload", "--instance", director.instance]);
  expect([reloaded.code, reloaded.stderr]).toEqual([0, expect.any(String)]);
  await eligible(front, tier.proxies);
  const requests = tier.nameServer ? 120 : 900;
  const counts = await sharesOf(front, requests);
  const weights = new Map(["10.0.1.31", "10.0.1.32", "10.0.1.33"].map((address) => [address, 1]));
  const replies = Object.entries(counts).flatMap(([address, n]) => Array<string>(n).fill(address));
  expect(replies).toHaveLength(requests);
  const shares = toShares(replies, weights);
  expect(shareError(shares)).toBeLessThanOrEqual(shareLimit(shares, requests));
  expect(countLosses(readLoad(await load.stop()), 0, 0)).toMatchObject({ lost: 0 });
}

async function drainsFirst(front: Front, first: Sluice): Promise<void> {
  const { tier, director } = front;
  const [gone, ...stay] = tier.proxies;
  const load = await startLoad(front, "drain");
  await sleep(500);
  const name = `front/${gone}`;
  const set = [sluiceCommand, "set", "backend", name, "state", "drain", "--instance", director.instance];
  expect((await run(set)).code).toBe(0);
  await eligible(front, stay);
  await sleep(tier.memory + 500);
  first.signal("SIGTERM");
  expect(await first.gone()).toBe(true);
  await sleep(500);
  const losses = countLosses(readLoad(await load.stop()), 0, 0);
  expect(losses).toMatchObject({ lost: 0 });
  expect(losses.sent).toBeGreaterThan(60);
}

/** Client ports of the connections that a proxy holds. */
const portsAt = async (lab: Lab, proxy: string): Promise<number[]> =>
  [...(await lab.shell(proxy, "ss -Htn state established")).matchAll(/202\.20\.20\.20:(\d+)/g)].map(([, p]) =>
    Number(p),
  );

async function killsSecond(front: Front): Promise<void> {
  const { lab, tier } = front;
  const allowed = INTERVAL * FALL + 1000 + tier.memory;
  const stage = {
    folder: lab.folder,
    urls: async (path: string, count: number) => Array<string>(count).fill(`${tier.url}${path}`),
    startClient: (command: readonly string[]) => lab.spawn("client", resolving(front, command)),
  };
  const downloads = await startDownloads(stage, 12, allowed / 1000 + 3);
  await eventually("every download under way", () => downloads.list().every(({ backend }) => backend !== null));
  const load = await startLoad(front, "kill");
  await sleep(500);
  const own = await portsAt(lab, "proxy2");
  const death = performance.timeOrigin + performance.now();
  for (const process_ of processesIn([lab.namespace("proxy2")])) signal(process_, "SIGKILL");
  await eligible(front, [tier.proxies[2]]);
  await sleep(Math.max(0, death + allowed + 800 - (performance.timeOrigin + performance.now())));
  const losses = countLosses(readLoad(await load.stop()), death, allowed);
  expect(losses).toMatchObject({ lostBefore: 0, lostLate: 0 });
  expect(losses.sentLate).toBeGreaterThan(10);
  const ended = await downloads.over(10_000);
  const broken = ended.filter(({ unbroken }) => unbroken !== true);
  expect(broken.filter(({ port }) => !own.includes(port!))).toEqual([]);
  expect(broken.length).toBeGreaterThan(0);
  expect(broken.length).toBeLessThan(ended.length);
}

for (const tier of tiers)
  test.skipIf(tier.reason !== null)(
    `${tier.topology}: client address kept, a third proxy takes its share, a drained one costs nothing, a killed one its own`,
    async () => {
      await withLab(tier.topology, async (lab) => {
        await lab.shell("client", SMALL_BUFFERS);
        const proxy = quick(tier.topology, "proxy.yaml");
        const [first] = await Promise.all([startSluice(lab, "proxy1", proxy), startSluice(lab, "proxy2", proxy)]);
        const director = await startSluice(lab, "director", quick(tier.topology, "director.yaml"));
        const front: Front = { lab, tier, director };
        await Bun.write(`${lab.folder}/resolv.conf`, `nameserver ${NAME_SERVER}\n`);
        await eligible(front, tier.proxies.slice(0, 2));
        await keepsClientAddress(front);
        await addsThird(front);
        await drainsFirst(front, first);
        await killsSecond(front);
      });
    },
    90_000,
  );
