/** The HTTP redirector against nginx `return 302` and HAProxy `http-request redirect`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, defineBench, type Row } from "./lib.ts";
import { IDLE, idleRow } from "./support/idle.ts";
import { freePort } from "./support/pinned.ts";
import { inTurn } from "./support/rounds.ts";
import { type Server, startHaproxy, startNginx, startSluice } from "./support/servers.ts";
import { type Load, type Sample, WARM_UP, wrk } from "./support/wrk.ts";

const cases: Record<string, Omit<Load, "seconds">> = {
  "get-64": { path: "/pub/file.iso?a=b", connections: 64 },
  "get-1000": { path: "/pub/file.iso?a=b", connections: 1000 },
  "connection-per-request": { path: "/pub/file.iso?a=b", connections: 64, more: ["-H", "Connection: close"] },
};

const columns = [
  { unit: "cpu-us", better: "lower", of: (s: Sample) => s.cpuUs },
  { unit: "rps", better: "higher", of: (s: Sample) => s.rps },
  { unit: "p50-ms", better: "lower", of: (s: Sample) => s.p50 },
  { unit: "p99-ms", better: "lower", of: (s: Sample) => s.p99 },
  { unit: "memory-mib", better: "lower", of: (s: Sample) => s.memory / 1024 / 1024 },
] as const;

/** Where all of them send clients: nothing listens there. */
const BACKENDS = ["192.0.2.1:8000", "192.0.2.2:8000"];

async function startAll(folder: string): Promise<Server[]> {
  const port = freePort();
  return [
    await startSluice(folder, port, {
      services: {
        files: {
          method: "redirect",
          listen: [`127.0.0.1:${port}`],
          backends: BACKENDS,
          check: "none",
          redirect: { limits: { requests: 1_000_000_000 } },
        },
      },
    }),
    await startNginx(
      folder,
      (own) => `server { listen 127.0.0.1:${own} backlog=4096; return 302 http://${BACKENDS[0]}$request_uri; }`,
    ),
    await startHaproxy(
      folder,
      (own) => `frontend in
  bind 127.0.0.1:${own}
  http-request redirect prefix http://${BACKENDS[0]} code 302`,
    ),
  ];
}

async function run(progress: (line: string) => void, { only, seconds }: BenchOptions) {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  let servers: Server[] = [];
  const rows: Row[] = [];
  try {
    servers = await startAll(folder);
    for (const [name, load] of Object.entries(cases)) {
      if (only.length > 0 && !only.includes(name)) continue;
      progress(`${name}: ${load.connections} connections`);
      const measure = (server: Server, warmUp: boolean) =>
        wrk(server, { ...load, seconds: warmUp ? WARM_UP : seconds });
      rows.push(...(await inTurn(`${name}/redirect`, servers, measure, columns)));
    }
    if (only.length === 0 || only.includes("idle")) {
      progress(`idle-${IDLE}: memory per idle connection, after one request on each`);
      const fresh = await startAll(folder);
      servers.push(...fresh);
      rows.push(await idleRow("redirect", fresh, "/pub/file.iso"));
    }
    const versions = Object.fromEntries(servers.slice(1, 3).map(({ name, version }) => [name, version]));
    return { rows, versions };
  } finally {
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true });
  }
}

export default defineBench({
  summary: "the HTTP redirector against nginx and HAProxy",
  cases: [...Object.keys(cases), "idle"],
  run,
});
