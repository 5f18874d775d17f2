import { cut, painter } from "./paint.ts";
import { type Rates, ratesBetween } from "./rates.ts";
import type { StatusModel } from "./status.ts";
import { aligned } from "./table.ts";
import { ageText, bytesText, countText, percentText } from "./units.ts";

export interface TopOptions {
  color: boolean;
  /** Columns and rows of the terminal: what does not fit is left out, the idle ones first. */
  width: number;
  height: number;
}

const head = ["SERVICE", "BACKEND", "STATE", "ACTIVE", "WORK/S", "PART", "ERRORS/S", "IN/S", "OUT/S"];
const right = new Set([3, 4, 5, 6, 7, 8]);

const cells = (rates: Rates, state: string): string[] => [
  rates.backend === null ? rates.service : "",
  rates.backend ?? "",
  state,
  countText(rates.active),
  countText(rates.work),
  rates.part === null ? "" : percentText(rates.part),
  countText(rates.errors),
  bytesText(rates.bytesIn),
  bytesText(rates.bytesOut),
];

/** What goes on between two looks at an instance, ending without a line feed. */
export function topText(then: StatusModel, now: StatusModel, { color, width, height }: TopOptions): string {
  const paint = painter(color);
  const states = new Map<string, string>();
  for (const { name, state, backends } of now.services) {
    states.set(name, state);
    for (const backend of backends) states.set(`${name} ${backend.name}`, backend.state);
  }
  const rows = ratesBetween(then, now).flat();
  const title = `sluice ${now.instance}: revision ${now.revision}, ${now.workers} workers, running for ${ageText(now.at - now.since)}`;
  const shown = rows.slice(0, Math.max(1, height - 4));
  const stateOf = ({ service, backend }: Rates) => states.get(backend === null ? service : `${service} ${backend}`)!;
  const [first, ...lines] = aligned([head, ...shown.map((rates) => cells(rates, stateOf(rates)))], right);
  const body = lines.map((line, k) => (shown[k]!.backend === null ? paint(1, line) : line));
  const left = rows.length - shown.length;
  const more = left > 0 ? [`and ${left} more`] : [];
  return [title, "", first!, ...body, ...more].map((line) => cut(line, width)).join("\n");
}
