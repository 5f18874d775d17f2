import type { Code } from "./codes.ts";

/** Who is at fault: a metric label and an access-log field. */
export type Source = "client" | "backend" | "config" | "kernel" | "internal";

/** One step into a configuration value: a key or an index. */
export type Path = readonly (string | number)[];

/** A place in a configuration file. Lines and columns count from 1; `endColumn` is exclusive. */
export interface Place {
  file: string;
  line: number;
  column: number;
  endColumn: number;
}

/**
 * A problem is data; making the sentence for a person is a separate step (`config/diagnose.ts`, `observe/log.ts`).
 * `path` is relative to what was judged (a method judges one service, the configuration loader the whole file).
 */
export interface Problem {
  code: Code;
  severity: "error" | "warning";
  source: Source;
  path: Path;
  /** One sentence: what is wrong. */
  message: string;
  /** One sentence: what to do. */
  hint?: string;
  /** Valid words, when a word was wrong. */
  valid?: readonly string[];
  /** The valid word closest to what was written. */
  closest?: string;
  /** Where it stands, once known, and other places that take part (the first of two equal names). */
  place?: Place;
  also?: readonly { place: Place; message: string }[];
}

/** A value or the problems that kept it from being made. */
export type Result<T> = { ok: true; value: T } | { ok: false; problems: Problem[] };

export const ok = <T>(value: T): Result<T> => ({ ok: true, value });
export const refuse = <T = never>(...problems: Problem[]): Result<T> => ({ ok: false, problems });

/** A configuration problem with severity `error`; `more` adds hint, valid words and the like. */
export function configProblem(code: Code, path: Path, message: string, more: Partial<Problem> = {}): Problem {
  return { code, severity: "error", source: "config", path, message, ...more };
}

/** An exception that carries a problem: for code that cannot return one (constructors, callbacks of libraries). */
export class SluiceError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem, cause?: unknown) {
    super(`${problem.code}: ${problem.message}`, { cause });
    this.name = "SluiceError";
    this.problem = problem;
  }
}

/** What Bun says, beside ENOENT, of a program to be started that is not there. */
const NO_PROGRAM = "Executable not found";

/** What the system says by its own codes is no fault of ours: the code that it has here, and what to do. */
const ofTheSystem: Readonly<Record<string, readonly [Code, string]>> = {
  [NO_PROGRAM]: ["SLUICE_HOST_COMMAND", "Install it: sluice doctor names its package."],
  EACCES: ["SLUICE_PRIVILEGE", "Run as root; sluice doctor says which rights are missing."],
  EPERM: ["SLUICE_PRIVILEGE", "Run as root; sluice doctor says which rights are missing."],
  EROFS: ["SLUICE_PRIVILEGE", "Make that file system writable."],
};

/** Turns whatever was thrown into a problem: a right or a program that this host lacks, or else a fault of our own. */
export function toProblem(thrown: unknown, source: Source = "internal"): Problem {
  if (thrown instanceof SluiceError) return thrown.problem;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const said = message.startsWith(NO_PROGRAM) ? NO_PROGRAM : (thrown as { code?: string } | null)?.code;
  const [code, hint] = ofTheSystem[said ?? ""] ?? ["SLUICE_INTERNAL"];
  return { code, severity: "error", source, path: [], message, ...(hint ? { hint } : {}) };
}
