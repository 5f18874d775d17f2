import type { BackendState } from "../core/backend.ts";
import { latencyText } from "./events.ts";
import { printable } from "./printable.ts";
import type { BackendStatus } from "./status.ts";
import { ageText, bytesText, countText, percentText } from "./units.ts";

/** A state is a word and a sign, never a colour alone. */
export const signs: Record<BackendState, [sign: string, color: number]> = {
  up: ["●", 32],
  unchecked: ["●", 36],
  draining: ["◐", 33],
  maintenance: ["○", 34],
  down: ["✗", 31],
};

/** The columns of a backend in every table. */
export const backendHead = [
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
/** Columns of numbers. */
export const backendRight: ReadonlySet<number> = new Set([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
export const STATE_COLUMN = 2;
/** What a narrow terminal is spared, first to last: why a backend is as it is comes before how much it has had. */
export const spareColumns = [9, 11, 10, 6, 12, 5, 4, 3, 7, 8];

/** A backend as the cells of `backendHead`; `at` is now, in ms since 1970. A dash stands for what cannot be known. */
export const backendCells = (backend: BackendStatus, at: number): string[] => [
  signs[backend.state][0],
  backend.name,
  backend.state,
  String(backend.weight),
  backend.eligible ? percentText(backend.share) : "-",
  ...countCells(backend.counts),
  ageText(at - backend.since),
  reasons(backend, at),
];

/** The counts among them, from ACTIVE to OUT. */
export const countCells = (counts: BackendStatus["counts"]): string[] => [
  countText(counts.active),
  countText(counts.connections),
  countText(counts.requests),
  countText(counts.errors),
  countText(counts.packetsIn),
  bytesText(counts.bytesIn),
  bytesText(counts.bytesOut),
];

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

const checkText = ({ detail, latency }: NonNullable<BackendStatus["check"]>): string =>
  printable(detail) + (latency === null ? "" : `, ${latencyText(latency)}`);
