import { peer } from "../../src/lab/peers.ts";
import { LOAD_CORE, machineCpu, runPinned } from "./pinned.ts";
import type { Server } from "./servers.ts";

/** What one round of load showed. */
export interface Sample {
  requests: number;
  /** CPU of the serving processes per request, microseconds. */
  cpuUs: number;
  /** CPU of the rest of the product per request, microseconds. */
  otherUs: number;
  /** CPU of the whole machine per request, load and backend included, microseconds. */
  machineUs: number;
  rps: number;
  p50: number;
  p99: number;
  /** Memory of the serving processes right after the load, bytes. */
  memory: number;
}

const units: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/** `  50%  1.23ms` of wrk's report, in ms. */
function percentile(report: string, percent: number): number {
  const [, value, unit] = new RegExp(`^\\s*${percent}%\\s+([\\d.]+)(us|ms|s|m)\\s*$`, "m").exec(report) ?? [];
  if (value === undefined) throw new Error(`no ${percent}% in wrk's report:\n${report}`);
  return Number(value) * units[unit!]!;
}

/** Requests, rate and latencies out of wrk's report; throws when any request failed. */
export function readWrk(report: string): Pick<Sample, "requests" | "rps" | "p50" | "p99"> {
  const failed = /^\s*(Non-2xx.*|Socket errors.*)$/m.exec(report);
  if (failed) throw new Error(`requests failed: ${failed[1]}`);
  const requests = Number(/^\s*(\d+) requests in /m.exec(report)?.[1]);
  const rps = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(report)?.[1]);
  return { requests, rps, p50: percentile(report, 50), p99: percentile(report, 99) };
}

/** How long a server is loaded before it is measured, s: what it compiles and learns is behind it then. */
export const WARM_UP = 3;

export interface Load {
  path: string;
  connections: number;
  seconds: number;
  /** Arguments of wrk beyond that: fields, a script. */
  more?: readonly string[];
}

/** One round of wrk against a server. */
export async function wrk(server: Server, { path, connections, seconds, more = [] }: Load): Promise<Sample> {
  const { program, env } = await peer("wrk");
  const url = `http://127.0.0.1:${server.port}${path}`;
  const command = [program, "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "--latency", ...more, url];
  const before = [server.cpu(), server.otherCpu(), machineCpu()] as const;
  const said = await runPinned(LOAD_CORE, command, env);
  let report: ReturnType<typeof readWrk>;
  try {
    report = readWrk(said);
  } catch (error) {
    throw new Error(`${server.name} at ${path}: ${(error as Error).message}`);
  }
  const per = (used: number, at: 0 | 1 | 2): number => (used - before[at]) / report.requests;
  return {
    ...report,
    cpuUs: per(server.cpu(), 0),
    otherUs: per(server.otherCpu(), 1),
    machineUs: per(machineCpu(), 2),
    memory: server.memory(),
  };
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};
