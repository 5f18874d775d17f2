import type { Code } from "../core/codes.ts";
import { ok, type Problem, type Result, refuse } from "../core/problem.ts";
import { type Finished, type RunOptions, run, runSync } from "../runtime/child.ts";

/** A problem with the host: severity `error`, source `kernel`. */
export function hostProblem(code: Code, message: string, hint?: string): Problem {
  return { code, severity: "error", source: "kernel", path: [], message, ...(hint ? { hint } : {}) };
}

/** What a program wrote on stderr, as one line. */
export const oneLine = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .join("; ");

function judge(command: readonly string[], done: Finished): Result<string> {
  if (done.code === 0) return ok(done.stdout);
  const said = oneLine(done.stderr) || oneLine(done.stdout) || `exit code ${done.code}`;
  return refuse(hostProblem("SLUICE_HOST_COMMAND", `${command.join(" ")}: ${said}`));
}

/** Runs a system program; its stdout, or SLUICE_HOST_COMMAND with the program's own words. */
export async function hostCommand(command: readonly string[], options: RunOptions = {}): Promise<Result<string>> {
  return judge(command, await run(command, options));
}

/** `hostCommand` without waiting on the loop: for short commands whose caller cannot wait. */
export function hostCommandSync(command: readonly string[], options: RunOptions = {}): Result<string> {
  return judge(command, runSync(command, options));
}
