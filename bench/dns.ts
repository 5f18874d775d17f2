/** The name server's answers over UDP from user space against gdnsd, Knot and NSD: one worker each, the same zone. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, defineBench, type Row } from "./lib.ts";
import { type DnsSample, dnsperf } from "./support/dnsperf.ts";
import { startNameServers, ZONE } from "./support/name-servers.ts";
import { inTurn } from "./support/rounds.ts";
import type { Server } from "./support/servers.ts";

/** How many names there are, and how many of ten queries ask for one that is not there. */
const cases: Record<string, { names: number; missing: number }> = {
  "1-name": { names: 1, missing: 0 },
  "1000-names": { names: 1000, missing: 0 },
  "nxdomain-10": { names: 1000, missing: 1 },
};

const columns = [
  { unit: "cpu-us", better: "lower", of: (s: DnsSample) => s.cpuUs },
  { unit: "machine-cpu-us", better: "lower", of: (s: DnsSample) => s.machineUs },
  { unit: "qps", better: "higher", of: (s: DnsSample) => s.qps },
  { unit: "mean-ms", better: "lower", of: (s: DnsSample) => s.meanMs },
  { unit: "lost-percent", better: "lower", of: (s: DnsSample) => s.lostPercent },
] as const;

const nameOf = (i: number): string => `n${i}`;

/** Every name once, in an order that is not that of the zone; of ten queries `missing` ask for none of them. */
function queries(names: number, missing: number): string {
  const lines = Array.from({ length: Math.max(names, 10) }, (_, i) => {
    const name = i % 10 < missing ? `missing${i}` : nameOf((i * 7919) % names);
    return `${name}.${ZONE} A`;
  });
  return `${lines.join("\n")}\n`;
}

async function run(progress: (line: string) => void, { only, seconds }: BenchOptions) {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const rows: Row[] = [];
  let versions: Record<string, string> = {};
  let servers: Server[] = [];
  const stop = async (): Promise<void> => {
    for (const server of servers.splice(0)) await server.stop();
  };
  try {
    let serving = 0;
    for (const [name, { names, missing }] of Object.entries(cases)) {
      if (only.length > 0 && !only.includes(name)) continue;
      if (serving !== names) {
        await stop();
        progress(`${names} names: starting the servers`);
        servers = await startNameServers(
          folder,
          Array.from({ length: names }, (_, i) => nameOf(i)),
        );
        serving = names;
        versions = Object.fromEntries(servers.slice(1).map((server) => [server.name, server.version]));
      }
      progress(name);
      const file = join(folder, `${name}.queries`);
      await Bun.write(file, queries(names, missing));
      const measure = (server: Server, warmUp: boolean) => dnsperf(server, file, warmUp ? 1 : seconds);
      rows.push(...(await inTurn(`${name}/user`, servers, measure, columns)));
    }
    return { rows, versions };
  } finally {
    await stop();
    rmSync(folder, { recursive: true });
  }
}

export default defineBench({
  summary: "the name server over UDP against gdnsd, Knot and NSD: CPU per query, rate, loss, latency",
  cases: Object.keys(cases),
  run,
});
