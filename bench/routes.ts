/** What a request costs with 1,000 routes beside one with 2, by host, by path and by regular expression. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRequest, RequestHead } from "../src/protocols/http/request.ts";
import { route } from "../src/relay/route-options.ts";
import { Routes } from "../src/relay/routes.ts";
import { type BenchOptions, defineBench, type Row, row } from "./lib.ts";
import { freePort } from "./support/pinned.ts";
import { inTurn } from "./support/rounds.ts";
import { type Server, startBackend, startSluice } from "./support/servers.ts";
import { type Load, type Sample, wrk } from "./support/wrk.ts";

const MANY = 1000;
/** The route that is asked for: far from both ends. */
const ASKED = 700;

interface Case {
  route(i: number): object;
  load: Omit<Load, "seconds" | "connections">;
}

/** The backend has a few paths only. */
const there = { request: { path: "/64" } };

const cases: Record<string, Case> = {
  hosts: {
    route: (i) => ({ host: `h${i}.example`, prefix: "/64" }),
    load: { path: "/64", more: ["-H", `Host: h${ASKED}.example`] },
  },
  paths: { route: (i) => ({ prefix: `/p${i}/files`, ...there }), load: { path: `/p${ASKED}/files/a/b.png` } },
  regexes: {
    route: (i) => ({ regex: `/p${i}/.*\\.(png|jpe?g)`, ...there }),
    load: { path: `/p${ASKED}/files/a/b.png` },
  },
};

const columns = [
  { unit: "cpu-us", better: "lower", of: (s: Sample) => s.cpuUs },
  { unit: "p99-ms", better: "lower", of: (s: Sample) => s.p99 },
] as const;

/** Look-ups of one measurement, and of warming up. */
const LOOKUPS = 1_000_000;
const WARM = 200_000;
const LIMITS = { size: 8192, fields: 50, target: 4096 };

/** CPU of one look-up alone, ns: the best of three runs. */
function lookup({ route: make, load }: Case, routes: readonly number[]): number {
  const host = load.more?.[1] ?? "Host: a";
  const bytes = Buffer.from(`GET ${load.path} HTTP/1.1\r\n${host}\r\n\r\n`);
  const head = new RequestHead(LIMITS);
  if (parseRequest(bytes, 0, bytes.length, LIMITS, head) <= 0) throw new Error("the request is not read");
  const table = new Routes(routes.map((i) => route.parse(make(i))));
  for (let i = 0; i < WARM; i++) table.find(bytes, head);
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 3; run++) {
    const before = process.cpuUsage();
    for (let i = 0; i < LOOKUPS; i++) table.find(bytes, head);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, ((user + system) * 1000) / LOOKUPS);
  }
  return best;
}

async function start(folder: string, backend: Server, name: string, routes: readonly object[]): Promise<Server> {
  const port = freePort();
  const server = await startSluice(folder, port, {
    services: {
      shop: {
        method: "proxy",
        listen: [`127.0.0.1:${port}`],
        backends: [{ address: `127.0.0.1:${backend.port}`, tags: ["web"] }],
        check: "none",
        proxy: { limits: { requests: 1_000_000_000 }, routes: routes.map((route) => ({ ...route, to: "web" })) },
      },
    },
  });
  return { ...server, name };
}

async function run(progress: (line: string) => void, { only, seconds }: BenchOptions) {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const started: Server[] = [];
  const rows: Row[] = [];
  try {
    const backend = await startBackend(folder);
    started.push(backend);
    for (const [name, one] of Object.entries(cases)) {
      if (only.length > 0 && !only.includes(name)) continue;
      progress(`${name}: ${MANY} routes beside 2`);
      const numbers = Array.from({ length: MANY }, (_, i) => i);
      const [many, few] = [lookup(one, numbers), lookup(one, [0, ASKED])];
      rows.push(row(`${MANY}-${name}/lookup/ns`, "ns", "lower", many, { "2 routes": few }));
      const { load } = one;
      const all = numbers.map((i) => one.route(i));
      const servers = [
        await start(folder, backend, "sluice", all),
        await start(folder, backend, "2 routes", [one.route(0), one.route(ASKED)]),
      ];
      started.push(...servers);
      const measure = (server: Server, warmUp: boolean) =>
        wrk(server, { ...load, connections: 64, seconds: warmUp ? 1 : seconds });
      rows.push(...(await inTurn(`${MANY}-${name}/proxy`, servers, measure, columns)));
    }
    return { rows, versions: {} };
  } finally {
    for (const server of started.reverse()) await server.stop();
    rmSync(folder, { recursive: true });
  }
}

export default defineBench({
  summary: "the HTTP proxy with 1,000 routes beside itself with 2: by host, path and regular expression",
  cases: Object.keys(cases),
  run,
});
