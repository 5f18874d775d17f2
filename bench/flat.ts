/** What a request costs when there are a thousand backends or routes, beside what it costs with two. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, defineBench, type Row } from "./lib.ts";
import { freePort } from "./support/pinned.ts";
import { inTurn } from "./support/rounds.ts";
import { type Server, startBackend, startSluice } from "./support/servers.ts";
import { type Sample, WARM_UP, wrk } from "./support/wrk.ts";

const MANY = 1000;
const FEW = 2;

/** The backend listens on all of loopback: each address is a backend. */
const addresses = (count: number, port: number): string[] =>
  Array.from({ length: count }, (_, i) => `127.0.${1 + (i >> 8)}.${i & 255}:${port}`);

const routes = (count: number, path: (i: number) => object): object[] =>
  Array.from({ length: count }, (_, i) => ({ ...path(i), response: { set: { "X-Route": String(i) } } }));

/** A service, and the path to ask for; `size`: how many there are of what is counted. */
type Make = (size: number, port: number) => { service: object; path: string };

const withBackends =
  (scheduler: string): Make =>
  (size, port) => ({ service: { scheduler, backends: addresses(size, port) }, path: "/64" });
const withRoutes =
  (kind: "path" | "prefix", to: (i: number) => string): Make =>
  (size, port) => ({
    service: {
      scheduler: "round-robin",
      backends: addresses(1, port),
      proxy: { routes: routes(size, (i) => ({ [kind]: to(i) })) },
    },
    path: to(size - 1),
  });

const cases: Record<string, Make> = {
  "backends-round-robin": withBackends("round-robin"),
  "backends-weighted-round-robin": withBackends("weighted-round-robin"),
  "backends-least-connections": withBackends("least-connections"),
  "backends-p2c": withBackends("p2c"),
  "backends-prequal": withBackends("prequal"),
  "backends-source-hash": withBackends("source-hash"),
  "routes-path": withRoutes("path", (i) => `/route/${i}`),
  "routes-prefix": withRoutes("prefix", (i) => `/route/${i}`),
};

const columns = [
  { unit: "cpu-us", better: "lower", of: (s: Sample) => s.cpuUs },
  { unit: "memory-mib", better: "lower", of: (s: Sample) => s.memory / 1024 / 1024 },
] as const;

async function start(folder: string, backend: Server, make: Make, size: number): Promise<Server & { path: string }> {
  const port = freePort();
  const { service, path } = make(size, backend.port);
  const { proxy = {}, ...rest } = service as { proxy?: object };
  const own = { method: "proxy", listen: [`127.0.0.1:${port}`], check: "none", ...rest };
  const limits = { requests: 1_000_000_000 };
  const server = await startSluice(folder, port, { services: { shop: { ...own, proxy: { ...proxy, limits } } } });
  return { ...server, path, name: size === MANY ? "sluice" : `with-${size}` };
}

async function run(progress: (line: string) => void, { only, seconds }: BenchOptions): Promise<{ rows: Row[] }> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const started: Server[] = [];
  const rows: Row[] = [];
  try {
    const backend = await startBackend(folder, "0.0.0.0");
    started.push(backend);
    for (const [name, make] of Object.entries(cases)) {
      if (only.length > 0 && !only.includes(name)) continue;
      progress(name);
      const servers = [await start(folder, backend, make, MANY), await start(folder, backend, make, FEW)];
      started.push(...servers);
      const measure = (server: Server, warmUp: boolean) =>
        wrk(server, {
          path: (server as (typeof servers)[0]).path,
          connections: 64,
          seconds: warmUp ? WARM_UP : seconds,
        });
      rows.push(...(await inTurn(`${MANY}-${name}/proxy`, servers, measure, columns)));
      for (const server of servers) await server.stop();
    }
    return { rows };
  } finally {
    for (const server of started.reverse()) await server.stop();
    rmSync(folder, { recursive: true });
  }
}

export default defineBench({
  summary: "cost of a request with a thousand backends or routes beside that with two",
  cases: Object.keys(cases),
  run,
});
