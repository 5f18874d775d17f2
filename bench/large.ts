/**
 * What a large configuration asks of an operator's patience: 1,000 services of the kernel with 100 backends each, from the
 * file to the tables. The times are those of the commands, as they are typed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt } from "../src/dataplane/build.ts";
import { xdpMissing } from "../src/dataplane/testing/network.ts";
import { sluiceCommand } from "../src/lab/paths.ts";
import { createTestNetns, netnsMissing, wire } from "../src/system/netns-testing.ts";
import { defineBench, type Row, row } from "./lib.ts";
import { cpuOf, family, LOAD_CORE, memoryOf, runPinned, SERVER_CORE, startPinned } from "./support/pinned.ts";

const SERVICES = 1000;
const BACKENDS = 100;
const METHOD = "tunnel";

const vipOf = (i: number): string => `125.${12 + (i >> 8)}.${i & 255}.77`;
const realOf = (i: number, j: number): string => `10.${i >> 8}.${i & 255}.${j + 1}`;

/** The file, a backend a line; the first backend of the first service is `first`. */
function configuration(first: string): string {
  const lines = ["version: 1", "log: { level: error }", "services:"];
  for (let i = 0; i < SERVICES; i++) {
    lines.push(
      `  service-${i}:`,
      `    method: ${METHOD}`,
      `    listen: [${vipOf(i)}:80]`,
      "    check: none",
      "    backends:",
    );
    for (let j = 0; j < BACKENDS; j++) lines.push(`      - ${i + j === 0 ? first : realOf(i, j)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** A director with one gateway, which all backends are behind. */
function director() {
  ensureBuilt();
  const host = createTestNetns("director");
  const gateway = createTestNetns("gateway");
  wire(host, "eth0", "10.255.0.1/24", gateway, "eth0", "10.255.0.2/24");
  host.sh("ip address add 125.12.0.1/14 dev eth0; ip route add default via 10.255.0.2");
  return {
    enter: host.enter,
    close() {
      host.remove();
      gateway.remove();
    },
  };
}

async function measure(progress: (line: string) => void, enter: (...command: string[]) => string[], folder: string) {
  const [file, instance] = [join(folder, "large.yaml"), `bench-${process.pid}`];
  const rows: Row[] = [];
  const add = (what: string, unit: string, value: number): void => {
    rows.push(row(`${SERVICES}x${BACKENDS}/${METHOD}/${what}`, unit, "lower", value));
  };
  const timed = async (name: string, ...more: string[]): Promise<void> => {
    progress(name);
    const begun = performance.now();
    await runPinned(LOAD_CORE, enter(sluiceCommand, name, ...more));
    add(`${name}-s`, "s", (performance.now() - begun) / 1000);
  };
  await Bun.write(file, configuration(realOf(0, 0)));
  await timed("check", "-c", file);
  progress("start");
  const begun = performance.now();
  const program = startPinned(SERVER_CORE, enter(sluiceCommand, "run", "-c", file, "--instance", instance));
  try {
    while (!program.said().includes("sluice: serving")) {
      if (performance.now() - begun > 100_000) throw new Error(`it does not serve: ${program.said().slice(0, 2000)}`);
      await Bun.sleep(10);
    }
    add("start-s", "s", (performance.now() - begun) / 1000);
    const pids = family(program.pid);
    add("start-cpu-s", "s", cpuOf(pids) / 1e6);
    // The first looks at routes and neighbours are over.
    await Bun.sleep(8000);
    await timed("status", "--instance", instance);
    await timed("metrics", "--instance", instance);
    await Bun.write(file, configuration("10.200.0.1"));
    const before = cpuOf(pids);
    await timed("reload", "--instance", instance);
    add("reload-cpu-s", "s", (cpuOf(pids) - before) / 1e6);
    const rest = cpuOf(pids);
    await Bun.sleep(10_000);
    add("rest-core-percent", "%", ((cpuOf(pids) - rest) / 1e6 / 10) * 100);
    add("memory-mib", "MiB", memoryOf(pids) / 2 ** 20);
  } finally {
    await program.stop();
    await runPinned(LOAD_CORE, enter(sluiceCommand, "down", "--instance", instance));
  }
  return rows;
}

export default defineBench({
  summary: `check, start, status, metrics, reload and memory with ${SERVICES} services of ${BACKENDS} backends each`,
  async run(progress) {
    const missing = netnsMissing() ?? xdpMissing();
    if (missing) throw new Error(`cannot be measured here: ${missing}`);
    const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
    const stage = director();
    try {
      return { rows: await measure(progress, stage.enter, folder) };
    } finally {
      stage.close();
      rmSync(folder, { recursive: true });
    }
  },
});
