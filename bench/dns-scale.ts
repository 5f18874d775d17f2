/**
 * A hundred thousand names over twenty thousand checked backends, all of Sluice on one core: how long a start takes, what
 * memory it holds, how evenly checks are spread, and how soon a verdict shows in answers.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { xdpMissing } from "../src/dataplane/testing/network.ts";
import { sluiceCommand } from "../src/lab/paths.ts";
import { livingWorkers } from "../src/supervisor/orphans.ts";
import { instancePaths } from "../src/system/instance.ts";
import { netnsMissing } from "../src/system/netns-testing.ts";
import { defineBench, type Row, row } from "./lib.ts";
import {
  cpuOf,
  family,
  freePort,
  LOAD_CORE,
  memoryOf,
  type Pinned,
  runPinned,
  SERVER_CORE,
  startPinned,
} from "./support/pinned.ts";
import { cable, loopback, type Stand } from "./support/stand.ts";
import { median } from "./support/wrk.ts";

const SERVICES = 5000;
const NAMES = 20;
const BACKENDS = 4;
const INTERVAL_S = 10;
/** ms */
const BUCKET = 100;
/** ms between two looks at how many checks have come */
const LOOK = 5;
/** Health changes that are timed. */
const CHANGES = 10;
const WATCHED = "watched.example.org";

const watchedService = (ports: readonly number[]) => ({
  method: "dns",
  names: [WATCHED],
  dns: { empty: "nodata" },
  check: { tcp: true, interval: "200ms", timeout: "150ms", rise: 1, fall: 1 },
  backends: ports.map((port, i) => `127.0.0.${i + 2}:${port}`),
});

/** The configuration as code: written out it would have some megabytes. `watched` has two backends of its own. */
const configuration = (
  stand: Stand,
  port: number,
  checked: number,
  watched: readonly number[],
): string => `export default {
  version: 1, workers: 1, log: { level: "error" },
  dns: { listen: ["${stand.address}:${port}"], zones: ["example.com", "example.org"], xdp: "${stand.xdp}" },
  services: Object.fromEntries([
    ["watched", ${JSON.stringify(watchedService(watched))}],
    ...Array.from({ length: ${SERVICES} }, (_, i) => ["s" + i, { method: "dns",
      names: Array.from({ length: ${NAMES} }, (_, j) => "n" + (i * ${NAMES} + j) + ".example.com"),
      check: { tcp: true, interval: "${INTERVAL_S}s", timeout: "5s", rise: 1, fall: 2 },
      backends: Array.from({ length: ${BACKENDS} }, (_, b) => "127." + (b + 1) + "." + (i >> 8) + "." + (i & 255) + ":${checked}") }]),
  ]),
};
`;

/** A query for A. */
function queryFor(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([Buffer.from("000101000001000000000000", "hex"), ...labels, Buffer.from("0000010001", "hex")]);
}

/** Connections of this host that were reset before the last packet of their handshake, as a check of TCP is. */
function knocks(): number {
  const [names, counts] = readFileSync("/proc/net/netstat", "latin1")
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  return Number(counts![names!.indexOf("EmbryonicRsts")]);
}

/** Takes connections; checks are counted by time as the kernel sees them come, for no program does. */
function countingServer() {
  const times: number[] = [];
  let seen = knocks();
  const timer = setInterval(() => {
    for (const all = knocks(); seen < all; seen++) times.push(performance.now());
  }, LOOK);
  const server = Bun.listen({
    hostname: "0.0.0.0",
    port: 0,
    socket: { open: (socket) => void socket.terminate(), data() {} },
  });
  const stop = (): void => {
    clearInterval(timer);
    server.stop(true);
  };
  return { port: server.port, times, stop };
}

const openAt = (hostname: string, port: number) =>
  Bun.listen({ hostname, port, socket: { open: (socket) => void socket.terminate(), data() {} } });

/** Asks every millisecond; tells the number of answers, and when it came, ms since 1970. */
async function watchAnswers(
  stand: Stand,
  port: number,
  told: (answers: number, at: number) => void,
): Promise<() => void> {
  const socket = await stand.fromLoad(() =>
    Bun.udpSocket({
      connect: { hostname: stand.address, port },
      socket: { data: (_socket, answer) => told((answer[6]! << 8) | answer[7]!, Date.now()), error() {} },
    }),
  );
  const timer = setInterval(() => void socket.send(queryFor(WATCHED)), 1);
  return () => {
    clearInterval(timer);
    socket.close();
  };
}

const until = async (what: string, done: () => boolean, ms = 20_000): Promise<void> => {
  for (const end = performance.now() + ms; !done(); await Bun.sleep(1))
    if (performance.now() > end) throw new Error(`not within ${ms / 1000} s: ${what}`);
};

/** ms from each verdict (the event's own time) to the first answer that shows it. */
async function changeDelays(stand: Stand, port: number, instance: string, ports: readonly number[]): Promise<number[]> {
  const events = startPinned(LOAD_CORE, [sluiceCommand, "events", "--json", "--follow", "--instance", instance]);
  let answers = -1;
  let since = 0;
  const stop = await watchAnswers(stand, port, (count, at) => {
    if (count !== answers) [answers, since] = [count, at];
  });
  const changes = (): { at: number }[] =>
    events
      .said()
      .split("\n")
      .filter((line) => line.includes('"watched"') && line.includes('"kind":"backend"') && line.endsWith("}"))
      .map((line) => JSON.parse(line).event);
  const open = (address: string, port: number) => stand.fromServer(() => openAt(address, port));
  const second = open("127.0.0.3", ports[1]!);
  let first: ReturnType<typeof openAt> | null = null;
  const delays: number[] = [];
  try {
    await until("one backend is answered", () => answers === 1);
    await until("the events are followed", () => changes().length > 0);
    for (let i = 0; i < CHANGES; i++) {
      const before = changes().length;
      const wanted = first === null ? 2 : 1;
      if (first === null) first = open("127.0.0.2", ports[0]!);
      else first = (first.stop(true), null);
      await until("the answer shows the change", () => answers === wanted);
      await until("the event is told", () => changes().length > before);
      delays.push(since - changes().at(-1)!.at);
      await Bun.sleep(300);
    }
  } finally {
    stop();
    first?.stop(true);
    second.stop(true);
    await events.stop();
  }
  return delays;
}

function partOf(pid: number, instance: string): string {
  const command = Bun.spawnSync(["cat", `/proc/${pid}/cmdline`]).stdout.toString();
  if (command.includes("checker/main.ts")) return "checker";
  if (!command.includes("worker/main.ts")) return "daemon";
  return livingWorkers(instancePaths(instance)).some((worker) => worker.pid === pid) ? "worker" : "spare";
}

async function measure(
  program: Pinned,
  instance: string,
  begun: number,
  server: ReturnType<typeof countingServer>,
  seconds: number,
) {
  await until("the daemon serves", () => program.said().includes("sluice: serving"), 120_000);
  const rows: Row[] = [row("start/user/s", "s", "lower", (performance.now() - begun) / 1000)];
  // The first round, in which all are asked soon after one another, must be over.
  await Bun.sleep(1.6 * INTERVAL_S * 1000);
  const parts = Map.groupBy(family(program.pid), (pid) => partOf(pid, instance));
  const cpu = (): number => cpuOf(family(program.pid));
  const [from, before] = [performance.now(), cpu()];
  const length = Math.max(INTERVAL_S, seconds) * 1000;
  await Bun.sleep(length);
  const used = (cpu() - before) / 1e6 / (length / 1000);
  const seen = server.times.filter((at) => at >= from && at < from + length);
  const buckets = new Array<number>(Math.floor(length / BUCKET)).fill(0);
  for (const at of seen) buckets[Math.min(buckets.length - 1, Math.floor((at - from) / BUCKET))]!++;
  rows.push(row("checks/user/per-10s", "1", "higher", (seen.length * 10_000) / length));
  rows.push(row("checks/user/burst", "x mean", "lower", (Math.max(...buckets) * buckets.length) / seen.length));
  rows.push(row("checks/user/core-percent", "%", "lower", used * 100));
  for (const [part, pids] of parts) rows.push(row(`memory/${part}/mib`, "MiB", "lower", memoryOf(pids) / 2 ** 20));
  return rows;
}

/** All names, on loopback. */
async function atScale(progress: (line: string) => void, folder: string, seconds: number): Promise<Row[]> {
  const server = countingServer();
  const [port, ...watched] = [freePort(), freePort(), freePort()];
  const instance = `bench-${process.pid}`;
  const file = join(folder, "scale.config.ts");
  await Bun.write(file, configuration(loopback(), port!, server.port, watched));
  const begun = performance.now();
  const program = startPinned(SERVER_CORE, [sluiceCommand, "run", "-c", file, "--instance", instance]);
  try {
    progress("start, then checks");
    const rows = await measure(program, instance, begun, server, seconds);
    progress("health changes");
    return [...rows, ...changeRows("user", await changeDelays(loopback(), port!, instance, watched))];
  } finally {
    await program.stop();
    server.stop();
  }
}

const changeRows = (path: Stand["path"], delays: readonly number[]): Row[] => [
  row(`health-change/${path}/ms`, "ms", "lower", median(delays)),
  row(`health-change/${path}/most-ms`, "ms", "lower", Math.max(...delays)),
];

/** The watched name alone, answered by the program of an interface. */
async function changesInXdp(folder: string): Promise<Row[]> {
  const stand = cable();
  const [port, ...watched] = [stand.port(), 7001, 7002];
  const instance = `bench-xdp-${process.pid}`;
  const file = join(folder, "xdp.yaml");
  const dns = { listen: [`${stand.address}:${port}`], zones: ["example.org"], xdp: stand.xdp };
  const services = { watched: watchedService(watched) };
  await Bun.write(file, JSON.stringify({ version: 1, workers: 1, log: { level: "error" }, dns, services }));
  const command = stand.atServer(sluiceCommand, "run", "-c", file, "--instance", instance);
  const program = startPinned(SERVER_CORE, command);
  try {
    await stand.untilReady();
    const before = stand.programCpu();
    const delays = await changeDelays(stand, port!, instance, watched);
    if (stand.programCpu() === before) throw new Error("no answer has come from XDP");
    return changeRows("xdp", delays);
  } finally {
    await program.stop();
    stand.close();
  }
}

/** Answers from XDP so far, by the count of the instance's status. */
async function answersFromXdp(instance: string): Promise<number> {
  const said = await runPinned(LOAD_CORE, [sluiceCommand, "status", "--json", "--instance", instance]);
  return Number(/"SLUICE_DNS_XDP_ANSWERED":(\d+)/.exec(said)?.[1] ?? 0);
}

/** All names, answered by the program of an interface: until it serves, and until the program answers. */
async function startInXdp(folder: string): Promise<Row[]> {
  const stand = cable();
  const port = stand.port();
  const instance = `bench-xdp-start-${process.pid}`;
  const file = join(folder, "start.config.ts");
  const server = stand.fromServer(() => openAt("0.0.0.0", 7000));
  await Bun.write(file, configuration(stand, port, server.port, [7001, 7002]));
  const begun = performance.now();
  const command = stand.atServer(sluiceCommand, "run", "-c", file, "--instance", instance);
  const program = startPinned(SERVER_CORE, command);
  const passed = (): number => (performance.now() - begun) / 1000;
  try {
    await until("the daemon serves", () => program.said().includes("sluice: serving"), 120_000);
    const rows = [row("start/xdp/s", "s", "lower", passed())];
    const stop = await watchAnswers(stand, port, () => {});
    try {
      while ((await answersFromXdp(instance)) === 0) if (passed() > 120) throw new Error("no answer has come from XDP");
    } finally {
      stop();
    }
    rows.push(row("start/xdp/answers-s", "s", "lower", passed()));
    for (const [part, pids] of Map.groupBy(family(program.pid), (pid) => partOf(pid, instance)))
      rows.push(row(`memory-xdp/${part}/mib`, "MiB", "lower", memoryOf(pids) / 2 ** 20));
    return rows;
  } finally {
    await program.stop();
    server.stop(true);
    stand.close();
  }
}

const cases = ["scale/user", "health-change/xdp", "start/xdp"];

export default defineBench({
  summary: "100,000 names, 20,000 checked backends on one core: start, memory, checks, time until a verdict shows",
  cases,
  async run(progress, { seconds, only }) {
    const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
    const wanted = cases.filter((name) => only.length === 0 || only.includes(name));
    const missing = netnsMissing() ?? xdpMissing();
    const rows: Row[] = [];
    try {
      for (const name of wanted) {
        if (name.endsWith("/xdp") && missing !== null) {
          progress(`no rows of ${name}: ${missing}`);
          continue;
        }
        progress(name);
        if (name === "scale/user") rows.push(...(await atScale(progress, folder, seconds)));
        else rows.push(...(await (name === "start/xdp" ? startInXdp : changesInXdp)(folder)));
      }
      return { rows };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
});
