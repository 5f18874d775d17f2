import { writeFileSync } from "node:fs";
import { type HostProcess, Lab } from "../../src/lab/lab.ts";
import { prepareRealServers, startDirector, startServers } from "../../src/lab/start.ts";
import { findTopology } from "../../src/lab/topologies/index.ts";
import { sleep } from "../../src/runtime/clock.ts";

export type Sluice = HostProcess & { instance: string };

/** Builds a lab with its servers, gives it to `use`, and takes it down whatever happens. Sluice is not started. */
export async function withLab<T>(
  topologyName: string,
  use: (lab: Lab) => Promise<T>,
  options: { servers?: boolean; realServers?: boolean } = {},
): Promise<T> {
  const topology = findTopology(topologyName);
  if (!topology) throw new Error(`no topology ${topologyName}`);
  const lab = await Lab.build(topology);
  try {
    if (options.servers !== false) await startServers(lab);
    if (options.realServers !== false) await prepareRealServers(lab);
    return await use(lab);
  } finally {
    await lab.down();
  }
}

/**
 * Starts `sluice run` in a host and waits until it serves. `config` is a path relative to the project, or the text of a
 * configuration (anything with a line end). Throws with the daemon's log when it does not come up.
 */
export async function startSluice(
  lab: Lab,
  host: string,
  config: string,
  args: readonly string[] = [],
): Promise<Sluice> {
  return startDirector(lab, host, config.includes("\n") ? configFile(lab, host, config) : config, args);
}

/** Writes a configuration into the lab's folder; the same host's is replaced. Returns its path. */
export function configFile(lab: Lab, host: string, text: string): string {
  const path = `${lab.folder}/${host}.yaml`;
  writeFileSync(path, text);
  return path;
}

/** Polls until `probe` gives something; throws `what` after `timeout` ms. A probe that throws is asked again. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeout = 10_000,
): Promise<T> {
  let last: unknown;
  for (const end = performance.now() + timeout; performance.now() < end; await sleep(25))
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
  throw new Error(`not within ${timeout} ms: ${what}${last ? ` (${last})` : ""}`);
}

/** Bodies of `count` GETs from the lab's client, each on a connection of its own; a failed one is null. */
export async function curlMany(lab: Lab, url: string, count: number, ...args: string[]): Promise<(string | null)[]> {
  const loop = `i=0; while [ $i -lt ${count} ]; do curl -s --max-time 3 "$@" || printf '!\\n'; i=$((i+1)); done`;
  const { stdout } = await lab.exec("client", ["sh", "-c", loop, "sh", ...args, url], { timeout: 60_000 });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (line === "!" ? null : line));
}

/** How often each text occurs. */
export function tally(values: readonly (string | null)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value ?? "lost"] = (counts[value ?? "lost"] ?? 0) + 1;
  return counts;
}
