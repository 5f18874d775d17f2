/** What a request costs when there are a thousand backends or routes, beside what it costs with two. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { schedulers } from "../src/schedulers/list.ts";
import { type BenchOptions, defineBench, type Row, row } from "./lib.ts";
import { startFloor } from "./support/floor.ts";
import { pickCost } from "./support/pick.ts";
import { freePort } from "./support/pinned.ts";
import { ROUNDS } from "./support/rounds.ts";
import { type Server, startBackend, startHaproxy, startSluice } from "./support/servers.ts";
import { turnsRow } from "./support/turns.ts";

const MANY = 1000;
const FEW = 2;
const MIB = 1024 * 1024;

/** The backend listens on all of loopback: each address is a backend. */
const addresses = (count: number, port: number): string[] =>
  Array.from({ length: count }, (_, i) => `127.0.${1 + (i >> 8)}.${i & 255}:${port}`);

const routes = (count: number, path: (i: number) => object): object[] =>
  Array.from({ length: count }, (_, i) => ({ ...path(i), response: { set: { "X-Route": String(i) } } }));

/** A service; `size`: how many there are of what is counted. */
type Make = (size: number, port: number) => object;
/** What is asked for: with routes the last one, however many there are. */
const ASKED = `/route/${MANY - 1}`;

const withBackends =
  (scheduler: string): Make =>
  (size, port) => ({ scheduler, backends: addresses(size, port) });
const withRoutes =
  (kind: "path" | "prefix"): Make =>
  (size, port) => ({
    scheduler: "round-robin",
    backends: addresses(1, port),
    proxy: { routes: routes(size, (i) => ({ [kind]: `/route/${MANY - size + i}` })) },
  });

const cases: Record<string, Make> = {
  ...Object.fromEntries(schedulers.map(({ name }) => [`backends-${name}`, withBackends(name)])),
  "routes-path": withRoutes("path"),
  "routes-prefix": withRoutes("prefix"),
};

/** The schedulers alone, without a request around them: equal weights, then weights of 1 to 5. */
const picks = (): Row[] =>
  schedulers.flatMap((definition) =>
    [false, true].map((uneven) => {
      const [many, few] = [pickCost(definition, MANY, uneven), pickCost(definition, FEW, uneven)];
      return row(`${MANY}-${uneven ? "uneven" : "even"}/${definition.name}/ns`, "ns", "lower", many, { "with-2": few });
    }),
  );

/** What HAProxy calls them. Other numbers of backends mean other numbers of sockets for everybody. */
const haproxyNames: Record<string, string> = {
  "backends-round-robin": "roundrobin",
  "backends-least-connections": "leastconn",
  "backends-p2c": "random(2)",
};

/** Schedulers that meet backends in no order: the memory behind a socket is no more fetched ahead then. */
const unordered = ["random", "p2c", "p2c-ewma", "prequal"];

async function startPeers(folder: string, backend: Server, balance: string): Promise<Server[]> {
  const made = [MANY, FEW].map(async (size) => ({
    ...(await startHaproxy(
      folder,
      (own) => `  option forwardfor
frontend in
  bind 127.0.0.1:${own}
  default_backend out
backend out
  balance ${balance}
  http-reuse always
${addresses(size, backend.port)
  .map((address, i) => `  server b${i} ${address}`)
  .join("\n")}`,
    )),
    name: `haproxy-${size}`,
  }));
  return Promise.all(made);
}

/**
 * How many times more a request costs with many, and how many microseconds, beside all that stand there with both numbers:
 * the floor's are the kernel's share.
 */
function growth(name: string, { sluice, peers }: Row): Row[] {
  const others = ["haproxy", "floor"].filter((peer) => `${peer}-${MANY}` in peers);
  const of = (by: (many: number, few: number) => number): [number, Record<string, number>] => [
    by(sluice, peers[`with-${FEW}`]!),
    Object.fromEntries(others.map((peer) => [peer, by(peers[`${peer}-${MANY}`]!, peers[`${peer}-${FEW}`]!)])),
  ];
  return [
    row(`${name}/growth`, "times", "lower", ...of((many, few) => many / few)),
    // Of differences around zero no ratio says anything.
    { ...row(`${name}/more-us`, "us", "lower", ...of((many, few) => many - few)), ratio: null },
  ];
}

/** A ratio beside what Sluice itself costs with two; what HAProxy costs stands there to read. */
const besideFew = (one: Row): Row => ({ ...one, ratio: one.sluice / one.peers[`with-${FEW}`]! });

/** Memory right after the load. */
const memoryRow = (name: string, [many, few]: readonly Server[]): Row =>
  row(`${name}/memory-mib`, "MiB", "lower", many!.memory() / MIB, { [few!.name]: few!.memory() / MIB });

async function start(folder: string, backend: Server, make: Make, size: number): Promise<Server> {
  const port = freePort();
  const { proxy = {}, ...rest } = make(size, backend.port) as { proxy?: object };
  const own = { method: "proxy", listen: [`127.0.0.1:${port}`], check: "none", ...rest };
  const limits = { requests: 1_000_000_000 };
  const server = await startSluice(folder, port, { services: { shop: { ...own, proxy: { ...proxy, limits } } } });
  return { ...server, name: size === MANY ? "sluice" : `with-${size}` };
}

async function run(progress: (line: string) => void, { only, seconds }: BenchOptions): Promise<{ rows: Row[] }> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const started: Server[] = [];
  const rows: Row[] = [];
  try {
    const backend = await startBackend(folder, "0.0.0.0");
    started.push(backend);
    if (only.length === 0 || only.includes("picks")) {
      progress("picks: the schedulers alone");
      rows.push(...picks());
    }
    for (const [name, make] of Object.entries(cases)) {
      if (only.length > 0 && !only.includes(name)) continue;
      progress(name);
      const servers: Server[] = [await start(folder, backend, make, MANY), await start(folder, backend, make, FEW)];
      started.push(...servers);
      const balance = haproxyNames[name];
      const order = unordered.some((scheduler) => name === `backends-${scheduler}`) ? "random" : "turn";
      const peers = balance === undefined ? [] : await startPeers(folder, backend, balance);
      if (name.startsWith("backends"))
        for (const size of [MANY, FEW]) peers.push(await startFloor(folder, backend, size, order));
      started.push(...peers);
      const load = { head: `GET ${ASKED} HTTP/1.1\r\nHost: a`, connections: 64, seconds: ROUNDS * seconds };
      const measured = await turnsRow(`${MANY}-${name}/proxy`, folder, [...servers, ...peers], load);
      rows.push(besideFew(measured));
      if (peers.length > 0) rows.push(...growth(`${MANY}-${name}/proxy`, measured));
      rows.push(memoryRow(`${MANY}-${name}/proxy`, servers));
      for (const server of [...servers, ...peers]) await server.stop();
    }
    return { rows };
  } finally {
    for (const server of started.reverse()) await server.stop();
    rmSync(folder, { recursive: true });
  }
}

export default defineBench({
  summary: "cost of a request with a thousand backends or routes beside that with two",
  cases: ["picks", ...Object.keys(cases)],
  run,
});
