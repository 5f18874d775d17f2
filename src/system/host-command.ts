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
  const hint = done.code === 127 ? "Is the program there? sluice doctor names its package." : undefined;
  return refuse(hostProblem("SLUICE_HOST_COMMAND", `${command.join(" ")}: ${said}`, hint));
}

/** What ip(8) and tc(8) say of a list that changed while the kernel told it: entries may be missing, or told twice. */
const interrupted = ({ stderr }: Finished): boolean => stderr.includes("Dump was interrupted");
/** Times that such a list is asked for before it is taken as it is. */
const ATTEMPTS = 5;

/**
 * Runs a system program, anew where it lists what changes meanwhile; its stdout, or SLUICE_HOST_COMMAND with the program's
 * own words.
 */
export async function hostCommand(command: readonly string[], options: RunOptions = {}): Promise<Result<string>> {
  let done = await run(command, options);
  for (let again = 1; interrupted(done) && again < ATTEMPTS; again++) done = await run(command, options);
  return judge(command, done);
}

/** `hostCommand` without waiting on the loop: for short commands whose caller cannot wait. */
export function hostCommandSync(command: readonly string[], options: RunOptions = {}): Result<string> {
  let done = runSync(command, options);
  for (let again = 1; interrupted(done) && again < ATTEMPTS; again++) done = runSync(command, options);
  return judge(command, done);
}
