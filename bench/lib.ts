import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";

/** One measured thing, for Sluice and for those it is compared with. */
export interface Row {
  /** `<case>/<path or scheduler>/<unit>`. */
  name: string;
  unit: string;
  sluice: number;
  peers: Record<string, number>;
  /** 1.0 is level, below is ahead; null without peers. */
  ratio: number | null;
  /** Where `sluice` lies with 95 % confidence, of rows that say so. */
  interval?: [number, number];
}

export interface Report {
  bench: string;
  machine: { cpu: string; cores: number; kernel: string };
  versions: Record<string, string>;
  rows: Row[];
}

export interface BenchOptions {
  /** The cases to run; empty: all. */
  only: readonly string[];
  /** How long one server is measured at a time, s. */
  seconds: number;
}

/** What a file `bench/<name>.ts` exports by default. `progress` goes to stderr. */
export interface Bench {
  summary: string;
  /** Names of its cases, where they can be run apart. */
  cases?: readonly string[];
  run(
    progress: (line: string) => void,
    options: BenchOptions,
  ): Promise<{ rows: Row[]; versions?: Record<string, string> }>;
}

export const defineBench = (bench: Bench): Bench => bench;

/**
 * A row with its ratio. `better: "lower"` is a cost (Sluice over the best peer), `"higher"` a rate (the best peer over
 * Sluice).
 */
export function row(
  name: string,
  unit: string,
  better: "lower" | "higher",
  sluice: number,
  peers: Record<string, number> = {},
): Row {
  const values = Object.values(peers);
  const best = better === "lower" ? Math.min(...values) : Math.max(...values);
  const quotient = better === "lower" ? sluice / best : best / sluice;
  const ratio = values.length === 0 ? null : sluice === best ? 1 : quotient;
  return { name, unit, sluice, peers, ratio };
}

/** Between which of the values their median lies with 95 % confidence, however they are spread (by the sign test). */
export function medianInterval(values: readonly number[]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const reach = 0.98 * Math.sqrt(sorted.length);
  const at = (rank: number): number => sorted[Math.max(0, Math.min(sorted.length - 1, Math.round(rank)))]!;
  return [at(sorted.length / 2 - reach - 1), at(sorted.length / 2 + reach)];
}

export function report(bench: string, rows: Row[], versions: Record<string, string> = {}): Report {
  const processors = cpus();
  return {
    bench,
    machine: { cpu: processors[0]?.model.trim() ?? "unknown", cores: processors.length, kernel: release() },
    versions: { sluice: ownVersion(), bun: process.versions.bun ?? "", ...versions },
    rows,
  };
}

const ownVersion = (): string =>
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version as string;

const number = (value: number): string => {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 1 : size >= 1 ? 3 : 4);
};

/** The table for a person. */
export function reportText({ bench, machine, versions, rows }: Report): string {
  const peers = [...new Set(rows.flatMap((r) => Object.keys(r.peers)))];
  const intervals = rows.some((r) => r.interval);
  const head = ["", "unit", "sluice", ...peers, "ratio", ...(intervals ? ["95 %"] : [])];
  const lines = rows.map((r) => [
    r.name,
    r.unit,
    number(r.sluice),
    ...peers.map((peer) => (r.peers[peer] === undefined ? "-" : number(r.peers[peer]))),
    r.ratio === null ? "-" : r.ratio.toFixed(2),
    ...(intervals ? [r.interval?.map(number).join(" to ") ?? "-"] : []),
  ]);
  const widths = head.map((word, i) => Math.max(word.length, ...lines.map((line) => line[i]!.length)));
  const text = (line: string[]): string =>
    line.map((word, i) => (i < 2 ? word.padEnd(widths[i]!) : word.padStart(widths[i]!))).join("  ");
  const where = `${bench} on ${machine.cores} x ${machine.cpu}, kernel ${machine.kernel}`;
  const what = Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
  return [`${where}; ${what}`, text(head), ...lines.map(text)].join("\n");
}
