/** The name server's answers over UDP, from its workers and from XDP, against gdnsd, Knot and NSD: the same zone. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { xdpMissing } from "../src/dataplane/testing/network.ts";
import { netnsMissing } from "../src/system/netns-testing.ts";
import { type BenchOptions, defineBench, type Row } from "./lib.ts";
import { type DnsSample, dnsperf } from "./support/dnsperf.ts";
import { startNameServers, ZONE } from "./support/name-servers.ts";
import { inTurn } from "./support/rounds.ts";
import type { Server } from "./support/servers.ts";
import { cable, loopback, type Stand } from "./support/stand.ts";

interface Case {
  names: number;
  /** How many of ten queries ask for a name that is not there. */
  missing: number;
  /** Of dnsperf. */
  options?: readonly string[];
}

/** Family 1, 24 bits, scope 0, 192.0.2 (RFC 7871 6). */
const SUBNET = "8:00011800c00002";

const cases: Record<string, Case> = {
  "1-name": { names: 1, missing: 0 },
  "1000-names": { names: 1000, missing: 0 },
  "nxdomain-10": { names: 1000, missing: 1 },
  ecs: { names: 1000, missing: 0, options: ["-e", "-E", SUBNET] },
  "100000-names": { names: 100_000, missing: 0 },
};

const columns = [
  { unit: "cpu-us", better: "lower", of: (s: DnsSample) => s.cpuUs },
  { unit: "machine-cpu-us", better: "lower", of: (s: DnsSample) => s.machineUs },
  { unit: "qps", better: "higher", of: (s: DnsSample) => s.qps },
  { unit: "mean-ms", better: "lower", of: (s: DnsSample) => s.meanMs },
  { unit: "lost-percent", better: "lower", of: (s: DnsSample) => s.lostPercent },
] as const;

/** Queries of a warm-up at least, every name once at least; and seconds at most. */
const WARM_QUERIES = 50_000;
const MOST_WARM = 20;

const nameOf = (i: number): string => `n${i}`;

/** Every name once, in an order that is not that of the zone; of ten queries `missing` ask for none of them. */
function queries(names: number, missing: number): string {
  const lines = Array.from({ length: Math.max(names, 10) }, (_, i) => {
    const name = i % 10 < missing ? `missing${i}` : nameOf((i * 7919) % names);
    return `${name}.${ZONE} A`;
  });
  return `${lines.join("\n")}\n`;
}

/** All cases at one stand. */
async function runAt(stand: Stand, progress: (line: string) => void, { only, seconds }: BenchOptions) {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const rows: Row[] = [];
  let versions: Record<string, string> = {};
  let servers: Server[] = [];
  const stop = async (): Promise<void> => {
    for (const server of servers.splice(0)) await server.stop();
  };
  try {
    let serving = 0;
    for (const [name, { names, missing, options }] of Object.entries(cases)) {
      if (only.length > 0 && !only.includes(`${name}/${stand.path}`)) continue;
      if (serving !== names) {
        await stop();
        progress(`${names} names, ${stand.path}: starting the servers`);
        servers = await startNameServers(
          stand,
          folder,
          Array.from({ length: names }, (_, i) => nameOf(i)),
        );
        serving = names;
        versions = Object.fromEntries(servers.slice(1).map((server) => [server.name, server.version]));
      }
      progress(`${name}/${stand.path}`);
      const file = join(folder, `${name}.queries`);
      await Bun.write(file, queries(names, missing));
      const warm = ["-n", String(Math.ceil(WARM_QUERIES / Math.max(names, 10)))];
      const measure = (server: Server, warmUp: boolean) =>
        dnsperf(stand, server, file, warmUp ? MOST_WARM : seconds, [...(options ?? []), ...(warmUp ? warm : [])]);
      rows.push(...(await inTurn(`${name}/${stand.path}`, servers, measure, columns)));
    }
    return { rows, versions };
  } finally {
    await stop();
    stand.close();
    rmSync(folder, { recursive: true });
  }
}

const wanted = (only: readonly string[], path: string): boolean =>
  only.length === 0 || only.some((name) => name.endsWith(`/${path}`));

export default defineBench({
  summary: "the name server over UDP, by workers and from XDP, against gdnsd, Knot and NSD: CPU per query, rate, loss",
  cases: Object.keys(cases).flatMap((name) => [`${name}/user`, `${name}/xdp`]),
  async run(progress, options) {
    const missing = netnsMissing() ?? xdpMissing();
    const rows: Row[] = [];
    let versions: Record<string, string> = {};
    if (missing !== null) progress(`no rows from XDP: ${missing}`);
    for (const [path, stand] of [
      ["user", loopback],
      ["xdp", cable],
    ] as const) {
      if (!wanted(options.only, path) || (path === "xdp" && missing !== null)) continue;
      const done = await runAt(stand(), progress, options);
      rows.push(...done.rows);
      versions = done.versions;
    }
    return { rows, versions };
  },
});
