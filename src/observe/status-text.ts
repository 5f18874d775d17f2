import {
  backendCells,
  backendHead,
  backendRight,
  countCells,
  STATE_COLUMN,
  signs,
  spareColumns,
} from "./backend-cells.ts";
import { cut, painter } from "./paint.ts";
import { printable } from "./printable.ts";
import type { ServiceStatus, StatusHead, StatusModel } from "./status.ts";
import { fitting, joined, padded } from "./table.ts";
import { ageText, countText } from "./units.ts";

export interface TextOptions {
  color: boolean;
  /** Columns of the terminal: a wider table loses some of its own, then longer lines their end. */
  width: number;
}

/** The view of an instance as text, ending without a line feed. A dash stands for what cannot be known. */
export function statusText({ services, ...head }: StatusModel, options: TextOptions): string {
  const blocks = services.map((service) => serviceBlock(service, head.at, options));
  return titleBlock(head, options) + blocks.join("") + lastBlock(head, blocks.length === 0, options);
}

/** The view in blocks, of which each but the first begins with an empty line: the title, the services, what is beside them. */
export function titleBlock(head: StatusHead, { width }: TextOptions): string {
  const { instance, revision, pid, workers, at, since } = head;
  return cut(
    `sluice ${instance}: revision ${revision}, pid ${pid}, ${workers} workers, running for ${ageText(at - since)}`,
    width,
  );
}

export const serviceBlock = (service: ServiceStatus, at: number, options: TextOptions): string =>
  block(serviceLines(service, at, options), options);

/** `empty`: there was no service. */
export function lastBlock({ methods }: StatusHead, empty: boolean, options: TextOptions): string {
  const beside = methods.flatMap((method) => besideLines(method));
  return (empty ? block(["no services"], options) : "") + (beside.length > 0 ? block(beside, options) : "");
}

const block = (lines: readonly string[], { width }: TextOptions): string =>
  `\n\n${lines.map((line) => cut(line, width)).join("\n")}`;

/** `dns beside its services: 12 SLUICE_DNS_REFUSED, …`; nothing when nothing happened and it has nothing to say. */
function besideLines({ name, tallies, describe }: StatusModel["methods"][number]): string[] {
  const seen = Object.entries(tallies).filter(([, count]) => count > 0);
  if (seen.length + describe.length === 0) return [];
  const said = describe.map((line) => `  ${printable(line)}`);
  return [`${name} beside its services`, ...said, ...seen.map(([code, count]) => `  ${countText(count)} ${code}`)];
}

function serviceLines(service: ServiceStatus, at: number, options: TextOptions): string[] {
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
  const rows = [backendHead, ...service.backends.map((backend) => backendCells(backend, at)), totals(service)];
  const cells = padded(rows, backendRight);
  const kept = fitting(cells, options.width - INDENT.length, spareColumns);
  cells.forEach((row, place) => {
    const backend = service.backends[place - 1];
    // Painted after padding: escape sequences have no width.
    if (backend) for (const column of [0, STATE_COLUMN]) row[column] = paint(signs[backend.state][1], row[column]!);
    lines.push(INDENT + joined(row, kept));
  });
  return lines;
}

const INDENT = "  ";

const totals = (service: ServiceStatus): string[] => ["", "all", "", "", "", ...countCells(service.counts), "", ""];
