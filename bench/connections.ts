/**
 * TCP connections through direct, tunnel and nat, beside DNAT by nftables and HAProxy in TCP mode: how many a second, how
 * long a request waits, and what all of it costs the machine, client and servers included. They stand in namespaces of
 * one machine, so rates tell what the whole way costs, not what a director alone could carry.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { xdpMissing } from "../src/dataplane/testing/network.ts";
import { peer } from "../src/lab/peers.ts";
import { netnsMissing } from "../src/system/netns-testing.ts";
import { defineBench, type Row, row } from "./lib.ts";
import { ConnectionStage, targetOf, type Way } from "./support/connection-stage.ts";
import { LOAD_CORE, machineCpu, runPinned } from "./support/pinned.ts";
import { readWrk } from "./support/wrk.ts";

const CONNECTIONS = 32;
const ways = ["direct", "tunnel", "nat", "nftables", "haproxy"] as const satisfies readonly Way[];
const loads = {
  /** A connection for each request. */
  "new-connections": ["-H", "Connection: close"],
  /** All requests by the same connections. */
  requests: [],
} as const;

interface Sample {
  rps: number;
  p50: number;
  p99: number;
  /** Of the whole machine, for each request, microseconds. */
  cpu: number;
}

async function measure(stage: ConnectionStage, way: Way, more: readonly string[], seconds: number): Promise<Sample> {
  const { program, env } = await peer("wrk");
  const url = `http://${targetOf(way)}/`;
  const command = [program, "-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--timeout", "5s", "--latency", ...more, url];
  const before = machineCpu();
  const { requests, ...report } = readWrk(await runPinned(LOAD_CORE, stage.client.enter(...command), env));
  return { ...report, cpu: (machineCpu() - before) / requests };
}

export default defineBench({
  summary: "TCP connections a second and latency through direct, tunnel and nat, beside nftables and HAProxy",
  cases: Object.keys(loads),
  async run(progress, { only, seconds }) {
    const missing = netnsMissing() ?? xdpMissing();
    if (missing) throw new Error(`cannot be measured here: ${missing}`);
    const wanted = Object.entries(loads).filter(([name]) => only.length === 0 || only.includes(name));
    const found = new Map<string, Sample>();
    const stage = await ConnectionStage.create(mkdtempSync(join(tmpdir(), "sluice-connections-")));
    try {
      for (const way of ways)
        await stage.by(way, async () => {
          for (const [load, more] of wanted) {
            progress(`${load} by ${way}`);
            found.set(`${load} ${way}`, await measure(stage, way, more, seconds));
          }
        });
    } finally {
      await stage.close();
    }
    const rows: Row[] = [];
    for (const [load] of wanted)
      for (const way of ways.slice(0, 3)) {
        const value = (by: Way, what: keyof Sample): number => found.get(`${load} ${by}`)![what];
        const add = (what: keyof Sample, name: string, unit: string, better: "lower" | "higher"): void => {
          const peers = { nftables: value("nftables", what), haproxy: value("haproxy", what) };
          rows.push(row(`${load}/${way}/${name}`, unit, better, value(way, what), peers));
        };
        add("rps", "per-second", "1/s", "higher");
        add("p50", "p50-ms", "ms", "lower");
        add("p99", "p99-ms", "ms", "lower");
        add("cpu", "machine-us", "us", "lower");
      }
    return { rows };
  },
});
