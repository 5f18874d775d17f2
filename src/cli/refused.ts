import { type DiagnoseOptions, diagnose } from "../config/diagnose.ts";
import type { Loaded } from "../config/load.ts";
import type { Problem } from "../core/problem.ts";

/** A problem that no line of a file is to blame for, with what to do about it. */
export const problemText = ({ code, message, hint }: Problem): string =>
  `error ${code}: ${message}\n${hint ? `  ${hint}\n` : ""}`;

/** What kept a sound configuration from being put into force, each problem with its place in the file where it has one. */
export function refusedText(
  { source, located }: Loaded & { ok: true },
  problems: readonly Problem[],
  options: DiagnoseOptions,
): string {
  const written = problems.filter(({ path }) => path.length > 0).map(located);
  const others = problems.filter(({ path }) => path.length === 0).map(problemText);
  return others.join("") + (written.length > 0 ? diagnose(written, source, options) : `${options.state}\n`);
}
