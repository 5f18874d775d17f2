/** What slow clients (slowhttptest: slow heads, bodies and readers) cost the good ones, beside nginx. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { peer } from "../src/lab/peers.ts";
import { type BenchOptions, defineBench, type Row, row } from "./lib.ts";
import { freePort, LOAD_CORE, startPinned } from "./support/pinned.ts";
import { type Server, startBackend, startNginx, startSluice } from "./support/servers.ts";

/** Connections of an attack, as many as it opens in a second. */
const ATTACKERS = 1000;
/** Requests of good clients in a second, each on a connection of its own. */
const RATE = 100;
/** An attack lasts so many times `--seconds`: longer than a head may take. */
const TIMES = 6;

const attacks: Record<string, (seconds: number) => string[]> = {
  none: () => [],
  // A field every 3 s; 64 octets of a body of 8 KiB every 3 s; 1 MiB read by 32 octets every 5 s.
  "slow-head": (seconds) => ["-H", "-i", "3", "-l", String(seconds)],
  "slow-body": (seconds) => ["-B", "-i", "3", "-s", "8192", "-x", "64", "-l", String(seconds)],
  "slow-read": (seconds) => ["-X", "-w", "256", "-y", "512", "-n", "5", "-z", "32", "-l", String(seconds)],
};

interface Seen {
  p50: number;
  p99: number;
  max: number;
  failed: number;
  /** Connections of the attack that the server had closed at its end. */
  closed: number;
}

/** One request on a connection of its own: ms until its answer is whole; null when it fails. */
function ask(port: number): Promise<number | null> {
  const began = performance.now();
  return new Promise((resolve) => {
    let got = "";
    const timer = setTimeout(() => resolve(null), 10_000);
    const done = (): void => {
      clearTimeout(timer);
      resolve(got.startsWith("HTTP/1.1 200 ") && got.endsWith("x".repeat(64)) ? performance.now() - began : null);
    };
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write("GET /64 HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"),
        data: (_socket, chunk) => {
          got += chunk.toString("latin1");
        },
        close: done,
        end: (socket) => void socket.end(),
      },
    }).catch(done);
  });
}

/** Good clients, at their times whether earlier ones are answered or not. */
async function goodClients(port: number, seconds: number): Promise<Omit<Seen, "closed">> {
  const all: Promise<number | null>[] = [];
  const began = performance.now();
  for (let i = 0; i < RATE * seconds; i++) {
    await Bun.sleep(Math.max(0, began + (i * 1000) / RATE - performance.now()));
    all.push(ask(port));
  }
  const times = await Promise.all(all);
  const good = times.filter((time) => time !== null).sort((a, b) => a - b);
  const at = (part: number): number => good[Math.min(good.length - 1, Math.floor(good.length * part))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1), failed: times.length - good.length };
}

async function underAttack({ port }: Server, name: string, seconds: number): Promise<Seen> {
  const { program, env } = await peer("slowhttptest");
  const path = name === "slow-read" ? "/1m" : "/64";
  const how = attacks[name]!(seconds + 2);
  const rate = ["-c", String(ATTACKERS), "-r", String(ATTACKERS), "-u", `http://127.0.0.1:${port}${path}`];
  const attack = how.length === 0 ? null : startPinned(LOAD_CORE, [program, ...how, ...rate], env);
  if (attack) await Bun.sleep(2000);
  const good = await goodClients(port, seconds);
  await attack?.stop();
  return { ...good, closed: cutOf(Bun.stripANSI(attack?.said() ?? "")) };
}

/** How many connections of an attack the server had closed at its end, by what slowhttptest has said. */
function cutOf(said: string): number {
  // It counts every 5 s, and ends without a count when none is left.
  if (said.includes("No open connections left")) return ATTACKERS;
  return Number([...said.matchAll(/^closed:\s+(\d+)/gm)].at(-1)?.[1] ?? 0);
}

async function startAll(folder: string): Promise<{ backend: Server; servers: Server[] }> {
  const backend = await startBackend(folder);
  const port = freePort();
  const to = `127.0.0.1:${backend.port}`;
  const services = { web: { method: "proxy", listen: [`127.0.0.1:${port}`], backends: [to], check: "none" } };
  const servers = [
    await startSluice(folder, port, { services }),
    await startNginx(
      folder,
      (own) => `upstream b { server ${to}; keepalive 512; } proxy_http_version 1.1; proxy_set_header Connection "";
server { listen 127.0.0.1:${own} backlog=4096; location / { proxy_pass http://b; } }`,
    ),
  ];
  return { backend, servers };
}

async function run(progress: (line: string) => void, { only, seconds }: BenchOptions) {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const started: Server[] = [];
  const rows: Row[] = [];
  try {
    const { backend, servers } = await startAll(folder);
    started.push(...servers, backend);
    for (const server of servers) await goodClients(server.port, 2);
    for (const name of Object.keys(attacks).filter((one) => only.length === 0 || only.includes(one))) {
      progress(`${name}: ${name === "none" ? 0 : ATTACKERS} attackers, ${RATE} good requests a second`);
      const [ours, theirs] = [
        await underAttack(servers[0]!, name, TIMES * seconds),
        await underAttack(servers[1]!, name, TIMES * seconds),
      ];
      for (const key of ["p50", "p99", "max"] as const)
        rows.push(row(`${name}/${key}`, "ms", "lower", ours[key], { nginx: theirs[key] }));
      rows.push(row(`${name}/failed`, "requests", "lower", ours.failed, { nginx: theirs.failed }));
      if (name !== "none")
        rows.push(row(`${name}/cut`, "connections", "higher", ours.closed, { nginx: theirs.closed }));
    }
    return { rows, versions: { nginx: servers[1]!.version } };
  } finally {
    for (const server of started) await server.stop();
    rmSync(folder, { recursive: true });
  }
}

export default defineBench({
  summary: "what slow heads, bodies and readers cost good clients, beside nginx",
  cases: Object.keys(attacks),
  run,
});
