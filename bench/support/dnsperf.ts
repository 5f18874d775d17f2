import { peer } from "../../src/lab/peers.ts";
import { LOAD_CORE, machineCpu, runPinned } from "./pinned.ts";
import type { Server } from "./servers.ts";
import type { Stand } from "./stand.ts";

/** What one round of queries showed. */
export interface DnsSample {
  /** CPU of the serving processes per query, microseconds. */
  cpuUs: number;
  /** CPU of the whole machine per query, load included, microseconds. */
  machineUs: number;
  qps: number;
  lostPercent: number;
  meanMs: number;
}

/** Queries, rate, loss and mean latency out of dnsperf's report. */
export function readDnsperf(report: string): { completed: number; qps: number; lostPercent: number; meanMs: number } {
  const number = (pattern: RegExp): number => {
    const found = pattern.exec(report)?.[1];
    if (found === undefined) throw new Error(`not in dnsperf's report: ${pattern}\n${report}`);
    return Number(found);
  };
  const sent = number(/Queries sent:\s+(\d+)/);
  const lost = number(/Queries lost:\s+(\d+)/);
  return {
    completed: number(/Queries completed:\s+(\d+)/),
    qps: number(/Queries per second:\s+([\d.]+)/),
    lostPercent: (100 * lost) / sent,
    meanMs: number(/Average Latency \(s\):\s+([\d.]+)/) * 1000,
  };
}

/**
 * One round of dnsperf: 100 queries under way from 10 sockets. `options`: more of its own. CPU is read before and after
 * the whole round, which includes the load's start.
 */
export async function dnsperf(
  stand: Stand,
  server: Server,
  queries: string,
  seconds: number,
  options: readonly string[] = [],
): Promise<DnsSample> {
  const { program, env } = await peer("dnsperf");
  const load = ["-d", queries, "-l", String(seconds), "-c", "10", "-T", "1", "-q", "100", ...options];
  const command = stand.atLoad(program, "-s", stand.address, "-p", String(server.port), ...load);
  const before = [server.cpu(), machineCpu()] as const;
  const report = await runPinned(LOAD_CORE, command, env);
  const { completed, qps, lostPercent, meanMs } = readDnsperf(report);
  const codes = /Response codes:\s+(.*)/.exec(report)?.[1] ?? "";
  if (/SERVFAIL|REFUSED|FORMERR|NOTIMP/.test(codes)) throw new Error(`${server.name} answers ${codes}`);
  return {
    cpuUs: (server.cpu() - before[0]) / completed,
    machineUs: (machineCpu() - before[1]) / completed,
    qps,
    lostPercent,
    meanMs,
  };
}
