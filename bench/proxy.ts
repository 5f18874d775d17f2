/** The HTTP proxy against nginx, HAProxy and proxies for Node: one worker each on one core, the same backend, in turn. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, defineBench, type Row } from "./lib.ts";
import { IDLE, idleRow } from "./support/idle.ts";
import { nodeProxies, startNodeProxy } from "./support/node-proxies.ts";
import { freePort } from "./support/pinned.ts";
import { inTurn, ROUNDS } from "./support/rounds.ts";
import { type Server, startBackend, startHaproxy, startNginx, startSluice } from "./support/servers.ts";
import { type Turns, turnsRow } from "./support/turns.ts";
import { type Load, type Sample, WARM_UP, wrk } from "./support/wrk.ts";

const MIB = 1024 * 1024;
const post = (size: number): string =>
  `wrk.method = "POST"; wrk.body = string.rep("x", ${size}); wrk.headers["Content-Type"] = "text/plain"`;

const get = (path: string) => ({ head: `GET ${path} HTTP/1.1\r\nHost: a` });

/** Each case, its load, and whether the work of the kernel beside the process counts (large bodies). */
function cases(
  folder: string,
): Record<string, Omit<Load, "seconds"> & { machine?: boolean; turns?: Pick<Turns, "head" | "body"> }> {
  return {
    "get-64": { path: "/64", connections: 64, turns: get("/64") },
    "get-1000": { path: "/64", connections: 1000, turns: get("/64") },
    "get-16k": { path: "/16k", connections: 64, machine: true, turns: get("/16k") },
    "get-1m": { path: "/1m", connections: 16, machine: true },
    "get-16m": { path: "/16m", connections: 8, machine: true },
    "post-16k": {
      path: "/post",
      connections: 64,
      more: ["-s", join(folder, "16k.lua")],
      machine: true,
      turns: {
        head: `POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: ${16 * 1024}`,
        body: Buffer.alloc(16 * 1024, 120),
      },
    },
    "post-1m": { path: "/post-whole", connections: 16, more: ["-s", join(folder, "1m.lua")], machine: true },
    "connection-per-request": { path: "/64", connections: 64, more: ["-H", "Connection: close"] },
  };
}

const common = [
  { unit: "cpu-us", better: "lower", of: (s: Sample) => s.cpuUs },
  { unit: "rps", better: "higher", of: (s: Sample) => s.rps },
  { unit: "p50-ms", better: "lower", of: (s: Sample) => s.p50 },
  { unit: "p99-ms", better: "lower", of: (s: Sample) => s.p99 },
  { unit: "memory-mib", better: "lower", of: (s: Sample) => s.memory / MIB },
] as const;
const machine = { unit: "machine-cpu-us", better: "lower", of: (s: Sample) => s.machineUs } as const;

/** All do the same work: keep connections on both sides, and add X-Forwarded-For. */
async function startAll(folder: string, backend: Server): Promise<Server[]> {
  const port = freePort();
  const target = `127.0.0.1:${backend.port}`;
  return [
    await startSluice(folder, port, {
      services: { shop: { method: "proxy", listen: [`127.0.0.1:${port}`], backends: [target], ...sluiceOptions } },
    }),
    await startNginx(
      folder,
      (own) => `client_max_body_size 0; client_body_buffer_size 64k; proxy_request_buffering off;
proxy_max_temp_file_size 0;
upstream backend { server ${target}; keepalive 256; keepalive_requests 1000000000; }
server { listen 127.0.0.1:${own} backlog=4096; location / { proxy_pass http://backend; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }`,
    ),
    await startHaproxy(
      folder,
      (own) => `  option splice-auto
  option forwardfor
frontend in
  bind 127.0.0.1:${own}
  default_backend out
backend out
  http-reuse always
  server backend ${target}`,
    ),
    ...(await Promise.all(nodeProxies.map((name) => startNodeProxy(name, target)))),
  ];
}
const sluiceOptions = { scheduler: "round-robin", proxy: { limits: { requests: 1_000_000_000 } } };

async function run(
  progress: (line: string) => void,
  { only, seconds }: BenchOptions,
): Promise<{ rows: Row[]; versions: Record<string, string> }> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const started: Server[] = [];
  const rows: Row[] = [];
  try {
    await Bun.write(join(folder, "16k.lua"), post(16 * 1024));
    await Bun.write(join(folder, "1m.lua"), post(1024 * 1024));
    const backend = await startBackend(folder);
    started.push(backend);
    const servers = await startAll(folder, backend);
    started.push(...servers);
    for (const [name, load] of Object.entries(cases(folder))) {
      if (only.length > 0 && !only.includes(name)) continue;
      progress(`${name}: ${load.connections} connections`);
      const measure = (server: Server, warmUp: boolean) =>
        wrk(server, { ...load, seconds: warmUp ? WARM_UP : seconds });
      rows.push(...(await inTurn(`${name}/proxy`, servers, measure, load.machine ? [...common, machine] : common)));
      const turns = { ...load.turns!, connections: load.connections, seconds: ROUNDS * seconds };
      if (load.turns) rows.push(await turnsRow(`${name}/proxy`, folder, servers.slice(0, 3), turns));
    }
    if (only.length === 0 || only.includes("idle")) {
      progress(`idle-${IDLE}: memory per idle connection, after one request on each`);
      // Fresh ones: those above keep memory of their load.
      const fresh = await startAll(folder, backend);
      started.push(...fresh);
      rows.push(await idleRow("proxy", fresh, "/64"));
    }
    const versions = Object.fromEntries(servers.slice(1).map(({ name, version }) => [name, version]));
    return { rows, versions };
  } finally {
    for (const server of started.reverse()) await server.stop();
    rmSync(folder, { recursive: true });
  }
}

export default defineBench({
  summary: "the HTTP proxy against nginx and HAProxy: CPU per request, rate, latency, memory",
  cases: [...Object.keys(cases("")), "idle"],
  run,
});
