/** What a request costs with 1,000 routes beside one with 2, by host, by path and by regular expression. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, defineBench, type Row } from "./lib.ts";
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
    for (const [name, { route, load }] of Object.entries(cases)) {
      if (only.length > 0 && !only.includes(name)) continue;
      progress(`${name}: ${MANY} routes beside 2`);
      const all = Array.from({ length: MANY }, (_, i) => route(i));
      const servers = [
        await start(folder, backend, "sluice", all),
        await start(folder, backend, "2 routes", [route(0), route(ASKED)]),
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
