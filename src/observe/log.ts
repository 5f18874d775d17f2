import { printable } from "./printable.ts";

export const levels = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof levels)[number];
export type Fields = Record<string, unknown>;

export interface LogOptions {
  level: Level;
  format: "text" | "json";
  /** Takes one whole line with its line feed. Default: stderr. */
  write?: (line: string) => void;
  /** ms since 1970. */
  now?: () => number;
  /** Said in every line: `{ worker: 3 }`. */
  fields?: Fields;
}

export interface Log {
  (level: Level, message: string, fields?: Fields): void;
  level: Level;
  /** Is anything said at this level? For who would make a sentence for nothing. */
  says(level: Level): boolean;
  /** Writes what is held back about suppressed lines: at the end of a program. */
  flush(): void;
}

/** Lines of one message within one window; more are counted only. */
const BURST = 20;
const WINDOW = 10_000;
/** Is this long ago, or still to come because the clock was set back? */
const isPast = (since: number, at: number): boolean => Math.abs(at - since) >= WINDOW;
/** Messages remembered at a time: the sentences of the program are few, but a message may hold a name by mistake. */
const MOST_KEYS = 1000;

interface Seen {
  since: number;
  lines: number;
  suppressed: number;
  level: Level;
}

const outlived = new WeakSet<NodeJS.WriteStream>();

/** Where nobody reads a stream any more, or a disk is full, lines are lost: without a listener the whole program would end. */
function outlive(stream: NodeJS.WriteStream): void {
  if (outlived.has(stream)) return;
  outlived.add(stream);
  stream.on("error", () => {});
}

/**
 * A levelled log, one line for each call. `message` is a fixed sentence and the key of the rate limit; what varies
 * goes into `fields`. Neither can forge a line: control characters are escaped. Never throws.
 */
export function createLog(options: LogOptions): Log {
  if (!options.write) outlive(process.stderr);
  const { write = (line) => void process.stderr.write(line), now = Date.now, fields: always = {} } = options;
  const seen = new Map<string, Seen>();
  const line = options.format === "json" ? jsonLine : textLine;

  const emit = (at: number, level: Level, message: string, fields: Fields): void => {
    try {
      write(line(at, level, message, { ...always, ...fields }));
    } catch {
      // A log that cannot be written must not take the program with it.
    }
  };
  const settle = (message: string, entry: Seen): void => {
    if (entry.suppressed > 0) emit(now(), entry.level, `${entry.suppressed} more suppressed`, { message_was: message });
    entry.suppressed = 0;
  };
  const sweep = (at: number): void => {
    for (const [message, entry] of seen) {
      if (!isPast(entry.since, at) && seen.size <= MOST_KEYS) continue;
      settle(message, entry);
      seen.delete(message);
    }
  };

  let lastSweep = now();
  const log = ((level, message, fields = {}) => {
    if (!log.says(level)) return;
    const at = now();
    if (isPast(lastSweep, at) || seen.size > MOST_KEYS) {
      sweep(at);
      lastSweep = at;
    }
    let entry = seen.get(message);
    if (entry && isPast(entry.since, at)) {
      settle(message, entry);
      entry = undefined;
    }
    if (!entry) {
      entry = { since: at, lines: 0, suppressed: 0, level };
      seen.set(message, entry);
    }
    if (++entry.lines > BURST) entry.suppressed++;
    else emit(at, level, message, fields);
  }) as Log;
  log.level = options.level;
  log.says = (level) => levels.indexOf(level) >= levels.indexOf(log.level);
  log.flush = () => {
    for (const [message, entry] of seen) settle(message, entry);
  };
  return log;
}

/** `2026-05-01T10:00:00.000Z WARN  sentence key=value other="two words"`. */
function textLine(at: number, level: Level, message: string, fields: Fields): string {
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key.replace(/[^\w.-]/g, "_")}=${word(value)}`);
  return `${timeText(at)} ${level.toUpperCase().padEnd(5)} ${printable(message)}${pairs.join("")}\n`;
}

/** Fields stand beside `time`, `level`, `message`; one of the same name gets an underscore. */
function jsonLine(at: number, level: Level, message: string, fields: Fields): string {
  const head: Fields = { time: timeText(at), level, message };
  const body = Object.entries(fields).map(([key, value]) => [key in head ? `_${key}` : key, plain(value)]);
  return `${printable(JSON.stringify({ ...head, ...Object.fromEntries(body) }))}\n`;
}

const timeText = (at: number): string => new Date(at).toISOString();

function word(value: unknown): string {
  const text = printable(typeof value === "string" ? value : toText(plain(value)));
  return /^[^\s"=\\]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

const toText = (value: unknown): string =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);

/** A value that JSON can hold: errors by name and message, the rest as it is or as text. */
function plain(value: unknown): unknown {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === "bigint" || typeof value === "symbol" || typeof value === "function") return String(value);
  try {
    JSON.stringify(value);
    return value;
  } catch {
    return "(cannot be written)";
  }
}
