import { type Row, row } from "../lib.ts";
import type { Server } from "./servers.ts";
import { median } from "./wrk.ts";

/** How often each server is measured; the median counts. */
export const ROUNDS = 3;

/** One column of a sample as a row. */
export interface Column<S> {
  unit: string;
  better: "lower" | "higher";
  of(sample: S): number;
}

/**
 * Measures the servers in turn, A B C A B C, after a warm-up of each: what the machine does beside it then meets all
 * alike.
 * @returns a row per column, named `<name>/<unit>`; the first server is Sluice.
 */
export async function inTurn<S>(
  name: string,
  servers: readonly Server[],
  measure: (server: Server, warmUp: boolean) => Promise<S>,
  columns: readonly Column<S>[],
): Promise<Row[]> {
  const samples = new Map<Server, S[]>(servers.map((server) => [server, []]));
  for (const server of servers) await measure(server, true);
  for (let round = 0; round < ROUNDS; round++)
    for (const server of servers) samples.get(server)!.push(await measure(server, false));
  return columns.map(({ unit, better, of }) => {
    const value = (server: Server): number => median(samples.get(server)!.map(of));
    const [sluice, ...peers] = servers as [Server, ...Server[]];
    const others = Object.fromEntries(peers.map((server) => [server.name, value(server)]));
    return row(`${name}/${unit}`, unitNames[unit] ?? unit, better, value(sluice), others);
  });
}

/** What a row's last word is measured in. */
const unitNames: Record<string, string> = {
  "cpu-us": "us",
  "machine-cpu-us": "us",
  rps: "1/s",
  qps: "1/s",
  "p50-ms": "ms",
  "p99-ms": "ms",
  "mean-ms": "ms",
  "lost-percent": "%",
  "memory-mib": "MiB",
};
