/** Every scheduler of the proxy method before uneven backends, beside nginx and HAProxy by least connections. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalog } from "../src/catalog.ts";
import { fittingSchedulers } from "../src/config/judge.ts";
import { type BenchOptions, defineBench, type Row, row } from "./lib.ts";
import { freePort, LOAD_CORE, runPinned, startPinned, untilOpen } from "./support/pinned.ts";
import { type Server, startHaproxy, startNginx, startSluice } from "./support/servers.ts";
import { BACKENDS, scenes } from "./support/uneven.ts";

/** How much longer than other benches one balancer is measured: the last of a thousand must come often enough. */
const LONGER = 2;
/** Each is measured so often, in turn; the better figure counts: what disturbs a machine only adds. */
const ROUNDS = 2;
const WARM_SECONDS = 1;
const SEED = 7;

const proxy = catalog.methods.find(({ name }) => name === "proxy")!;
const names = fittingSchedulers(proxy, catalog);

interface Latencies {
  sent: number;
  failed: number;
  p50: number;
  p99: number;
  p999: number;
}
const columns = [
  ["p50-ms", "p50"],
  ["p99-ms", "p99"],
  ["p999-ms", "p999"],
] as const;

/** One daemon with a service for each scheduler; only one of them has load at a time. */
async function startSchedulers(
  folder: string,
  targets: readonly string[],
): Promise<{ server: Server; ports: number[] }> {
  const ports = names.map(() => freePort());
  const services = Object.fromEntries(
    names.map((scheduler, i) => [
      scheduler,
      {
        method: "proxy",
        listen: [`127.0.0.1:${ports[i]}`],
        scheduler,
        backends: targets,
        check: "none",
        proxy: { limits: { requests: 1_000_000_000 } },
      },
    ]),
  );
  return { server: await startSluice(folder, ports[0]!, { services }), ports };
}

const startPeers = async (folder: string, targets: readonly string[]): Promise<Server[]> => [
  await startNginx(
    folder,
    (own) => `upstream backend { least_conn; ${targets.map((t) => `server ${t} max_fails=0;`).join(" ")}
keepalive 1024; keepalive_requests 1000000000; }
server { listen 127.0.0.1:${own} backlog=4096; location / { proxy_pass http://backend; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }`,
  ),
  await startHaproxy(
    folder,
    (own) => `  option forwardfor
frontend in
  bind 127.0.0.1:${own}
  default_backend out
backend out
  balance leastconn
  http-reuse always
${targets.map((target, i) => `  server b${i} ${target}`).join("\n")}`,
  ),
];

async function measure(scene: string, control: number, port: number, seconds: number): Promise<Latencies> {
  const program = join(import.meta.dirname, "support/open-load.ts");
  const load = async (time: number): Promise<Latencies> => {
    const begun = await fetch(`http://127.0.0.1:${control}/${scene}`);
    if (!begun.ok) throw new Error(`the scene ${scene} does not begin`);
    const words = [port, scenes[scene]!.rate, time, SEED].map(String);
    return JSON.parse(await runPinned(LOAD_CORE, [process.execPath, program, ...words]));
  };
  await load(WARM_SECONDS);
  const result = await load(seconds);
  if (result.failed > 0) throw new Error(`${result.failed} of ${result.sent} requests failed`);
  return result;
}

/** All that is measured, children of this process, runs before what else the machine does: else latencies are of its queue. */
function takePrecedence(progress: (line: string) => void): void {
  const { exitCode } = Bun.spawnSync(["chrt", "--rr", "--pid", "1", String(process.pid)], { stderr: "ignore" });
  if (exitCode !== 0)
    progress("without the right to a real-time priority: measure on a machine that does nothing else");
}

function rowsOf(scene: string, name: string, measured: ReadonlyMap<string, Latencies[]>, peers: string[]): Row[] {
  return columns.map(([unit, key]) => {
    const best = (who: string): number => Math.min(...measured.get(who)!.map((latencies) => latencies[key]));
    const theirs = Object.fromEntries(peers.map((peer) => [peer, best(peer)]));
    return row(`${scene}/${name}/${unit}`, "ms", "lower", best(name), theirs);
  });
}

async function run(
  progress: (line: string) => void,
  { only, seconds }: BenchOptions,
): Promise<{ rows: Row[]; versions: Record<string, string> }> {
  const wanted = names.filter((name) => only.includes(name));
  const played = Object.entries(scenes).filter(([name]) => only.includes(name));
  takePrecedence(progress);
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const started: { stop(): Promise<void> }[] = [];
  const rows: Row[] = [];
  try {
    const [control, ...ports] = Array.from({ length: BACKENDS + 1 }, freePort) as [number, ...number[]];
    const words = [control, ...ports].map(String);
    const program = join(import.meta.dirname, "support/uneven-backends.ts");
    const backends = startPinned(LOAD_CORE, [process.execPath, program, ...words]);
    started.push(backends);
    await untilOpen(control, backends);
    const targets = ports.map((port) => `127.0.0.1:${port}`);
    const peers = await startPeers(folder, targets);
    started.push(...peers);
    const own = await startSchedulers(folder, targets);
    started.push(own.server);
    for (const [scene, { summary, rate }] of played.length > 0 ? played : Object.entries(scenes)) {
      progress(`${scene}: ${summary}; ${rate} requests/s`);
      const measured = new Map<string, Latencies[]>();
      const taking = new Map([
        ...peers.map(({ name, port }) => [name, port] as const),
        ...names.map((name, i) => [name, own.ports[i]!] as const),
      ]);
      if (wanted.length > 0) for (const name of names) if (!wanted.includes(name)) taking.delete(name);
      for (let round = 0; round < ROUNDS; round++)
        for (const [name, port] of taking) {
          const latencies = await measure(scene, control, port, seconds * LONGER);
          progress(`  ${name}: p99 ${latencies.p99.toFixed(1)} ms`);
          measured.set(name, [...(measured.get(name) ?? []), latencies]);
        }
      const others = peers.map(({ name }) => name);
      for (const name of taking.keys()) if (!others.includes(name)) rows.push(...rowsOf(scene, name, measured, others));
    }
    return { rows, versions: Object.fromEntries(peers.map(({ name, version }) => [name, version])) };
  } finally {
    for (const each of started.reverse()) await each.stop();
    rmSync(folder, { recursive: true });
  }
}

export default defineBench({
  summary: "every scheduler before uneven backends, beside nginx and HAProxy by least connections: latencies",
  cases: [...Object.keys(scenes), ...names],
  run,
});
