/**
 * Nothing is lost when processes change under load: reload, upgrade, a worker's and the supervisor's death. A short run
 * in the suite; SLUICE_TEST_LONG=1 makes 200,000 requests and more in each, and prints what it measured.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { peer } from "../../src/lab/peers.ts";
import { dial, RawBackend } from "../../src/relay/testing.ts";
import { livingWorkers } from "../../src/supervisor/orphans.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { ByteLoad, startByteServer } from "../lib/byte-load.ts";
import { freePort, startDaemon, type TestDaemon } from "../lib/daemon.ts";

const LONG = process.env.SLUICE_TEST_LONG === "1";
/** Requests that each of the tests makes at least. */
const LEAST = LONG ? 200_000 : 1000;

const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

const server = startByteServer();
stops.push(server.stop);

interface Written {
  version: 1;
  workers: number;
  services: { web: { listen: string[]; [key: string]: unknown } };
}

const configOf = (port: number, backend: number, more: object = {}): Written => ({
  version: 1,
  workers: 2,
  services: {
    web: { method: "proxy", listen: [`127.0.0.1:${port}`], backends: [`127.0.0.1:${backend}`], check: "none" },
  },
  ...more,
});

/** Another listener beside: what makes new workers. */
const withExtra = (port: number, more: object = {}): Written => {
  const config = configOf(port, server.port, more);
  config.services.web.listen.push(`127.0.0.1:${freePort()}`);
  return config;
};

async function serve(config: object): Promise<TestDaemon> {
  const daemon = await startDaemon(config, "handover");
  stops.push(() => daemon.dispose());
  return daemon;
}

const wrk = await peer("wrk").catch((error) => void console.error(`wrk is left out: ${error.message}`));

/** wrk's requests, and what it says of errors. */
async function runWrk(port: number, seconds: number): Promise<{ requests: number; errors: string }> {
  if (!wrk) return { requests: 0, errors: "" };
  const command = [wrk.program, "-t1", "-c16", `-d${seconds}s`, "--timeout", "10s", `http://127.0.0.1:${port}/7`];
  const child = Bun.spawn(command, { env: { ...process.env, ...wrk.env }, stdout: "pipe", stderr: "ignore" });
  const report = await new Response(child.stdout).text();
  return {
    requests: Number(/(\d+) requests in/.exec(report)?.[1] ?? 0),
    errors: /^\s*(?:Non-2xx|Socket errors).*$/m.exec(report)?.[0].trim() ?? "",
  };
}

/** Does `what` again and again under both loads, until enough requests were made. */
async function underLoad(
  port: number,
  what: (round: number) => Promise<void>,
): Promise<{ requests: number; failures: string[] }> {
  const load = new ByteLoad(port, 8, 4, 30);
  const failures: string[] = [];
  let fromWrk = 0;
  for (let round = 0; load.requests + fromWrk < LEAST || round < (LONG ? 2 : 1); round++) {
    const side = runWrk(port, LONG ? 10 : 2);
    await what(round);
    const { requests, errors } = await side;
    fromWrk += requests;
    if (errors !== "") failures.push(`wrk: ${errors}`);
  }
  await load.stop();
  return { requests: load.requests + fromWrk, failures: [...load.failures, ...failures] };
}

const say = (line: string): void => void (LONG && console.error(line));

test("reloads and upgrades under load lose no request", async () => {
  const port = freePort();
  const daemon = await serve(configOf(port, server.port));
  let [reloads, upgrades] = [0, 0];
  const { requests, failures } = await underLoad(port, async () => {
    // One worker fewer, whose socket another serves on; another listener; and all back.
    for (const next of [configOf(port, server.port, { workers: 1 }), withExtra(port), configOf(port, server.port)]) {
      await daemon.write(next);
      expect(await daemon.reloadBeside()).toBe(0);
      reloads++;
      await Bun.sleep(300);
    }
    await daemon.start("--upgrade");
    upgrades++;
  });
  say(`${requests} requests, ${reloads} reloads and ${upgrades} upgrades: ${failures.length} failed`);
  expect(failures).toEqual([]);
  expect(daemon.status()).toMatchObject({ pid: daemon.pid, workers: 2 });
}, 900_000);

/** The worker processes of a daemon that serve. */
const workersOf = (daemon: TestDaemon): number[] => livingWorkers(instancePaths(daemon.instance)).map(({ pid }) => pid);

/** Connections of clients that a process holds: established, its own port this one. */
function heldBy(pid: number, port: number): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return "";
    }
  });
  const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, at, , , , , , , , inode]) => at?.endsWith(local) && inodes.has(inode)).length;
}

/** The worker that waits; undefined while none is ready. */
function spareOf(daemon: TestDaemon): number | undefined {
  if (!daemon.status().spare) return undefined;
  const children = Bun.spawnSync(["pgrep", "-P", String(daemon.pid), "-f", "worker/main"]).stdout.toString();
  const serving = workersOf(daemon);
  return children
    .trim()
    .split("\n")
    .map(Number)
    .find((pid) => !serving.includes(pid));
}

async function untilSpare(daemon: TestDaemon): Promise<number> {
  for (let i = 0; i < 300; i++) {
    const pid = spareOf(daemon);
    if (pid !== undefined) return pid;
    await Bun.sleep(100);
  }
  throw new Error("no spare came");
}

/** Keeps all cores busy until it is stopped. */
function busy(processes: number): () => void {
  const children = Array.from({ length: processes }, () => Bun.spawn(["sha1sum", "/dev/zero"], { stdout: "ignore" }));
  return () => {
    for (const child of children) child.kill("SIGKILL");
  };
}

/** Kills one worker; returns the client connections it held, and ms until another served in its place. */
async function killOne(daemon: TestDaemon, port: number): Promise<{ held: number; ms: number }> {
  const spare = await untilSpare(daemon);
  const [victim] = workersOf(daemon);
  const ready = (): number => daemon.said().split("READY").length;
  const before = ready();
  // Stopped first: what it holds is counted while it can take no more.
  process.kill(victim!, "SIGSTOP");
  await Bun.sleep(20);
  const held = heldBy(victim!, port);
  const killed = performance.now();
  process.kill(victim!, "SIGKILL");
  while (ready() === before && performance.now() - killed < 30_000) await Bun.sleep(2);
  const ms = Math.round(performance.now() - killed);
  expect(workersOf(daemon)).toContain(spare);
  return { held, ms };
}

test("a worker that is killed costs its own connections at most, none is refused, and the spare takes its place", async () => {
  const port = freePort();
  const daemon = await serve(configOf(port, server.port));
  const load = new ByteLoad(port, 8, 4);
  const times: number[] = [];
  let held = 0;
  let idle = (): void => {};
  for (let round = 0; round < (LONG ? 24 : 1) || load.requests < 500; round++) {
    if (round === 12) {
      idle = busy(navigator.hardwareConcurrency);
      stops.push(idle);
    }
    const killed = await killOne(daemon, port);
    held += killed.held;
    times.push(killed.ms);
  }
  idle();
  await load.stop();
  say(
    `${load.requests} requests, ${times.length} workers killed, which held ${held} connections: ${load.failures.length} failed; replaced after ${times.slice(0, 12).join(", ")} ms, with all cores busy ${times.slice(12).join(", ")} ms`,
  );
  expect(load.failures.filter((why) => !why.includes("cut after"))).toEqual([]);
  expect(load.failures.length).toBeLessThanOrEqual(held);
}, 300_000);

test("a supervisor that is killed costs no request, nor does the next one's start", async () => {
  const port = freePort();
  const daemon = await serve(configOf(port, server.port));
  let deaths = 0;
  const { requests, failures } = await underLoad(port, async () => {
    await daemon.kill("SIGKILL");
    deaths++;
    await Bun.sleep(200);
    await daemon.start();
  });
  say(`${requests} requests, ${deaths} supervisors killed: ${failures.length} failed`);
  expect(failures).toEqual([]);
  expect(daemon.status().workers).toBe(2);
}, 900_000);

test("the spare that dies is made anew, a reload takes it, and it does not outlive its daemon", async () => {
  const port = freePort();
  const daemon = await serve(configOf(port, server.port));
  const first = await untilSpare(daemon);
  process.kill(first, "SIGKILL");
  while (existsSync(`/proc/${first}`)) await Bun.sleep(10);
  const second = await untilSpare(daemon);
  expect(second).not.toBe(first);
  await daemon.write(withExtra(port));
  expect(daemon.reload().code).toBe(0);
  expect(workersOf(daemon)).toContain(second);
  const third = await untilSpare(daemon);
  await daemon.kill("SIGKILL");
  while (existsSync(`/proc/${third}`)) await Bun.sleep(10);
  expect(workersOf(daemon)).toContain(second);
});

test("a supervisor that is killed at any moment of a reload costs no request, nor does the next one's start", async () => {
  const port = freePort();
  const daemon = await serve(configOf(port, server.port));
  const load = new ByteLoad(port, 8, 4, 30);
  const rounds = LONG ? 60 : 4;
  for (let round = 0; round < rounds; round++) {
    const next = round % 2 === 0 ? withExtra(port) : configOf(port, server.port);
    await daemon.write(next);
    process.kill(daemon.pid, "SIGHUP");
    // A reload takes some 300 ms; the moments are spread over it and a while behind its commit.
    await Bun.sleep(((round + Math.random()) / rounds) * 600);
    await daemon.kill("SIGKILL");
    await daemon.start();
    for (const listener of next.services.web.listen) expect((await fetch(`http://${listener}/7`)).status).toBe(200);
  }
  await load.stop();
  say(`${load.requests} requests, ${rounds} supervisors killed in a reload: ${load.failures.length} failed`);
  expect(load.failures).toEqual([]);
  expect(daemon.status().workers).toBe(2);
}, 900_000);

const GO = "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
const UPGRADE = "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/** Echoes behind an upgrade; `/long` sends a part of its answer at each `part()`. */
function longBackend(): { raw: RawBackend; part(): void } {
  const raw = new RawBackend((end) => {
    if (end.got.startsWith("GET /socket") && end.got.endsWith("\r\n\r\n")) end.send(GO);
    else if (end.got.startsWith("GET /socket")) end.send(end.got.slice(end.got.lastIndexOf("\n") + 1) && "echo");
    else if (end.got.endsWith("\r\n\r\n")) end.send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
  });
  stops.push(() => raw.stop());
  const part = (): void => {
    for (const end of raw.connections) if (end.got.includes("GET /long")) end.send("part");
  };
  return { raw, part };
}

const echoes = (text: string): number => text.split("echo").length - 1;

test("WebSockets and downloads live on through a reload and an upgrade, until they are done", async () => {
  const { raw, part } = longBackend();
  const port = freePort();
  const daemon = await serve(configOf(port, raw.port));
  const socket = dial(port).send(UPGRADE);
  const download = dial(port).send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
  stops.push(() => socket.stop());
  await socket.has("101 Go");
  await download.has("\r\n\r\n");
  const alive = async (times: number): Promise<void> => {
    socket.send("hello");
    await socket.until(({ got }) => echoes(got) === times);
    part();
    await download.until(({ got }) => got.split("part").length - 1 === times);
  };
  await alive(1);
  await daemon.write(configOf(port, raw.port, { drain: "25s" }));
  expect(daemon.reload().code).toBe(0);
  const web = configOf(port, raw.port);
  web.services.web.listen.push(`127.0.0.1:${freePort()}`);
  await daemon.write(web);
  expect(daemon.reload().code).toBe(0);
  await alive(2);
  await daemon.start("--upgrade");
  await alive(3);
  expect(download.got).toEndWith("\r\n\r\npartpartpart");
  expect(await download.gone()).toContain("HTTP/1.1 200 OK\r\n");
  expect([socket.closed, socket.ended]).toEqual([false, false]);
});

test("the drain limit ends what does not end by itself, and not before", async () => {
  const { raw } = longBackend();
  const port = freePort();
  const more = { drain: "2s" };
  const daemon = await serve(configOf(port, raw.port, more));
  const socket = dial(port).send(UPGRADE);
  await socket.has("101 Go");
  const web = configOf(port, raw.port, more);
  web.services.web.listen.push(`127.0.0.1:${freePort()}`);
  await daemon.write(web);
  const before = performance.now();
  expect(daemon.reload().code).toBe(0);
  socket.send("hello");
  await socket.until(({ got }) => echoes(got) === 1);
  await socket.gone();
  expect(performance.now() - before).toBeGreaterThan(1900);
});
