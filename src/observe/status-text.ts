import type { BackendState } from "../core/backend.ts";
import { latencyText } from "./events.ts";
import { printable } from "./printable.ts";
import type { BackendStatus, ServiceStatus, StatusModel } from "./status.ts";
import { ageText, bytesText, countText, percentText } from "./units.ts";

export interface TextOptions {
  color: boolean;
  /** Columns of the terminal: longer lines lose the end of their last cell. */
  width: number;
}

// State is a word and a sign, never a colour alone.
const signs: Record<BackendState, [sign: string, color: number]> = {
  up: ["●", 32],
  unchecked: ["●", 36],
  draining: ["◐", 33],
  maintenance: ["○", 34],
  down: ["✗", 31],
};

const head = [
  "",
  "BACKEND",
  "STATE",
  "WEIGHT",
  "SHARE",
  "ACTIVE",
  "CONNS",
  "REQS",
  "ERRORS",
  "PACKETS",
  "IN",
  "OUT",
  "SINCE",
  "CHECK",
];
/** Columns of words stand left, of numbers right. */
const left = new Set([0, 1, 2, 13]);
const STATE_COLUMN = 2;

/** The view of an instance as text, ending without a line feed. A dash stands for what cannot be known. */
export function statusText(model: StatusModel, options: TextOptions): string {
  const title = `sluice ${model.instance}: revision ${model.revision}, pid ${model.pid}, ${model.workers} workers, running for ${ageText(model.at - model.since)}`;
  const blocks = model.services.map((service) => serviceText(service, model.at, options));
  if (blocks.length === 0) blocks.push(["no services"]);
  const beside = model.methods.flatMap((method) => besideLines(method));
  if (beside.length > 0) blocks.push(beside);
  return [[title], ...blocks].map((lines) => lines.map((line) => cut(line, options.width)).join("\n")).join("\n\n");
}

/** `dns beside its services: 12 SLUICE_DNS_REFUSED, …`; nothing when nothing happened and it has nothing to say. */
function besideLines({ name, tallies, describe }: StatusModel["methods"][number]): string[] {
  const seen = Object.entries(tallies).filter(([, count]) => count > 0);
  if (seen.length + describe.length === 0) return [];
  const said = describe.map((line) => `  ${printable(line)}`);
  return [`${name} beside its services`, ...said, ...seen.map(([code, count]) => `  ${countText(count)} ${code}`)];
}

function serviceText(service: ServiceStatus, at: number, options: TextOptions): string[] {
  const paint = painter(options.color);
  const eligible = service.backends.filter((backend) => backend.eligible).length;
  const where = [...service.listeners, ...service.names].join(" ");
  const facts = [service.method, where, service.scheduler, `${eligible} of ${service.backends.length} eligible`];
  const lines = [
    `${paint(1, service.name)}  ${facts.filter(Boolean).join("  ")}${service.state === "serving" ? "" : `  ${service.state.toUpperCase()}`}`,
  ];
  for (const line of service.describe) lines.push(`  ${printable(line)}`);
  for (const { path, up, of, good } of service.groups ?? [])
    lines.push(`  group ${printable(path)}: ${up} of ${of} up${good ? "" : ", FAILED"}`);
  for (const { code, message } of service.troubles) lines.push(`  ${code}: ${printable(message)}`);
  const drops = Object.entries(service.drops).filter(([, count]) => count > 0);
  if (drops.length > 0)
    lines.push(`  dropped ${drops.map(([code, count]) => `${countText(count)} ${code}`).join(", ")}`);
  if (service.problem) lines.push(`  ${service.problem.code}: ${printable(service.problem.message)}`);
  const rows = [head, ...service.backends.map((backend) => cells(backend, at)), totals(service)];
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  rows.forEach((row, place) => {
    const padded = row.map((cell, column) =>
      left.has(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    );
    const backend = service.backends[place - 1];
    // Painted after padding: escape sequences have no width.
    if (backend)
      for (const column of [0, STATE_COLUMN]) padded[column] = paint(signs[backend.state][1], padded[column]!);
    lines.push(`  ${padded.join("  ")}`.trimEnd());
  });
  return lines;
}

function cells(backend: BackendStatus, at: number): string[] {
  const { counts } = backend;
  return [
    signs[backend.state][0],
    backend.name,
    backend.state,
    String(backend.weight),
    backend.eligible ? percentText(backend.share) : "-",
    ...numbers(counts),
    ageText(at - backend.since),
    reasons(backend, at),
  ];
}

/** What its state and weight come from: an operator, requests or the check, and its own words. */
function reasons({ ejected, check, agent, load, operator }: BackendStatus, at: number): string {
  const parts = (operator ?? []).map(({ what, is, until }) => {
    return `operator: ${what} ${is}${until === null ? "" : ` for ${ageText(until - at)}`}`;
  });
  if (ejected) parts.push(`ejected: ${printable(ejected.why)}`);
  else if (check) parts.push(checkText(check));
  if (agent) parts.push(`agent ${agent.code === "SLUICE_CHECK_OK" ? "says" : "silent:"} ${printable(agent.detail)}`);
  if (typeof load === "number") parts.push(`load ${percentText(load)}`);
  return parts.join("; ") || "-";
}

const totals = (service: ServiceStatus): string[] => ["", "all", "", "", "", ...numbers(service.counts), "", ""];

const numbers = (counts: BackendStatus["counts"]): string[] => [
  countText(counts.active),
  countText(counts.connections),
  countText(counts.requests),
  countText(counts.errors),
  countText(counts.packetsIn),
  bytesText(counts.bytesIn),
  bytesText(counts.bytesOut),
];

const painter =
  (color: boolean) =>
  (code: number, text: string): string =>
    color ? `\u001b[${code}m${text}\u001b[0m` : text;

/** Cuts a line to the width that a terminal shows, not counting escape sequences; they are kept whole. */
function cut(line: string, width: number): string {
  let shown = 0;
  let result = "";
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith("\u001b[")) {
      result += part;
      continue;
    }
    const room = width - shown;
    result += part.length <= room ? part : room > 0 ? `${part.slice(0, room - 1)}…` : "";
    shown += part.length;
  }
  return result;
}

const checkText = ({ detail, latency }: NonNullable<BackendStatus["check"]>): string =>
  printable(detail) + (latency === null ? "" : `, ${latencyText(latency)}`);
