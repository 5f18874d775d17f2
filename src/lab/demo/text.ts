import { latencyText } from "../../observe/events.ts";
import { aligned } from "../../observe/table.ts";
import type { DeathResult, DemoReport, MethodResult, PathResult, SharesResult } from "./result.ts";
import type { Tried } from "./stage.ts";

const indented = (line: string): string => `    ${line}`;

const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;

function pathText(path: PathResult): string[] {
  const rows = path.hops.map((hop) => [
    `${hop.from} -> ${hop.to}`,
    `${hop.sourceMac} > ${hop.destinationMac}`,
    hop.addresses,
    hop.message,
  ]);
  return [
    "  the path of one request, as captured:",
    ...aligned(rows).map(indented),
    `  ${path.roundTrips} round trips: ${path.exchanges.join(", ")}`,
    `  ${path.packetsPerRequest.toFixed(1)} packets through the director per request; the response ${path.bypassesDirector ? "bypasses" : "passes"} it`,
  ];
}

/** At most this many lines of a command's output are shown. */
const MOST_LINES = 20;

const triedText = ({ host, command, output, code }: Tried): string[] => [
  `  ${host}$ ${command}`,
  ...(code === 127 ? ["(this machine has no such program)"] : output.split("\n").slice(0, MOST_LINES))
    .filter((line) => line.trim() !== "")
    .map((line) => `    ${line.replace(/\t+/g, "  ")}`),
];

const sharesText = ({ backends, requests, error }: SharesResult): string[] => [
  `  ${requests} requests, share error ${error.toFixed(1)} points:`,
  ...aligned(
    backends.map((b) => [
      b.backend,
      `weight ${b.weight}`,
      `${b.requests} requests`,
      `${percent(b.got)} of ${percent(b.expected)}`,
    ]),
  ).map(indented),
];

function deathText(death: DeathResult): string[] {
  const why = Object.entries(death.errors).map(([word, times]) => `${times} ${word}`);
  const last = death.lastLost === null ? "" : `; the last was sent ${latencyText(death.lastLost)} after the death`;
  const avoided = death.avoidedAfter === null ? "never avoided" : `avoided after ${latencyText(death.avoidedAfter)}`;
  return [
    `  ${death.victim} killed under load: ${avoided}`,
    `  ${death.lost} of ${death.sent} GETs lost${why.length > 0 ? ` (${why.join(", ")})` : ""}${last}`,
    `  ${death.broken} of ${death.living} connections to living backends broken`,
  ];
}

/** One method's part of the report. */
export function methodText(result: MethodResult): string {
  const { path, shares, death, failures } = result;
  const lines = [
    `${[result.method, ...result.describe].join(", ")} (${result.where}, ${result.took.toFixed(1)} s)`,
    ...result.tries.flatMap(triedText),
    ...(path ? pathText(path) : []),
    ...(shares ? sharesText(shares) : []),
    ...(death ? deathText(death) : []),
    ...failures.map((failure) => `  DOES NOT HOLD: ${failure}`),
  ];
  return `${lines.join("\n")}\n`;
}

const dash = <T>(value: T | null | undefined, text: (value: T) => string): string =>
  value === null || value === undefined ? "-" : text(value);

/** One line for each reason. */
function leftOutText(leftOut: DemoReport["leftOut"]): string[] {
  const reasons = [...new Set(leftOut.map(({ why }) => why))];
  return reasons.map((why) => {
    const methods = leftOut.filter((left) => left.why === why).map(({ method }) => method);
    return `left out: ${methods.join(", ")}: ${why}`;
  });
}

/** The closing table over all methods. */
export function tableText(report: DemoReport): string {
  const head = ["method", "works", "share error", "lost", "avoided after", "packets/request", "bypass", "round trips"];
  const rows = report.methods.map(({ method, works, shares, death, path }) => [
    method,
    works ? "yes" : "NO",
    dash(shares, ({ error }) => `${error.toFixed(1)} points`),
    dash(death, ({ lost, sent }) => `${lost} of ${sent}`),
    dash(death?.avoidedAfter, latencyText),
    dash(path, ({ packetsPerRequest }) => packetsPerRequest.toFixed(1)),
    dash(path, ({ bypassesDirector }) => (bypassesDirector ? "yes" : "no")),
    dash(path, ({ roundTrips }) => String(roundTrips)),
  ]);
  const left = leftOutText(report.leftOut);
  const end = report.ok ? "all of it holds" : "not all of it holds";
  return `${[...aligned([head, ...rows]), ...left, `${end} (${report.took.toFixed(0)} s)`].join("\n")}\n`;
}
