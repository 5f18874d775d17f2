import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { z } from "zod";
import { configProblem, ok, type Path, type Problem, type Result, refuse } from "../core/problem.ts";
import { formatDuration } from "../core/words.ts";
import type { BundleProblem } from "../runtime/bundle.ts";
import { type Child, spawnChild } from "../runtime/child.ts";
import type { FromLoader } from "./loader-child.ts";

/** How long a configuration's code may run, ms. */
const CODE_LIMIT = 5000;

/** Longest reason that is passed on: the code's own errors may hold whole files. */
const MAX_REASON = 2000;

/**
 * Evaluates a TypeScript configuration in a throw-away child, without rights and for at most `limit` ms.
 * `functions`: where the value has functions, which are null in it. `bundleDir` is where the bundle stays for the workers (made when absent); null: it is thrown away.
 */
export async function loadCode(
  file: string,
  bundleDir: string | null,
  limit = CODE_LIMIT,
): Promise<Result<{ value: unknown; functions: Path[]; bundle: string | null }>> {
  // Not in `bundleDir` itself: once it is `nobody`, the child may be unable to reach that.
  let directory: string | null = null;
  try {
    directory = mkdtempSync(join(tmpdir(), "sluice-config-"));
    chmodSync(directory, 0o755);
    const made = join(directory, "config.js");
    const answer = await ask(file, made, limit);
    if (answer.kind === "refused") return refuse(...answer.reasons.map((reason) => codeProblem(reason, file)));
    const { value, functions } = answer;
    return ok({ value, functions, bundle: bundleDir === null ? null : keep(made, bundleDir) });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse(codeProblem({ message: `The bundle cannot be kept: ${why}`, at: null }, file));
  } finally {
    if (directory !== null) rmSync(directory, { recursive: true, force: true });
  }
}

/** Named by its content: the bundle of the running revision is never written over, not even by one that is refused. */
function keep(made: string, bundleDir: string): string {
  mkdirSync(bundleDir, { recursive: true });
  const digest = createHash("sha256").update(readFileSync(made)).digest("hex").slice(0, 16);
  const kept = join(bundleDir, `config-${digest}.js`);
  copyFileSync(made, kept);
  return kept;
}

function codeProblem({ message, at }: BundleProblem, file: string): Problem {
  const place = at ? { place: { ...at, file: fileAs(file, at.file), endColumn: at.column + 1 } } : {};
  return configProblem("SLUICE_CONFIG_CODE", [], `${message.slice(0, MAX_REASON).replace(/[.\s]*$/, "")}.`, place);
}

/** The path of a source in the form in which the configuration's own, `file`, was typed. */
function fileAs(file: string, source: string): string {
  const typed = resolve(file);
  if (source === typed || source === realpathSync(file)) return file;
  return join(dirname(file), relative(dirname(typed), source));
}

const whole = z.int().min(1);
const reason: z.ZodType<BundleProblem> = z.object({
  message: z.string(),
  at: z.object({ file: z.string(), line: whole, column: whole }).nullable(),
});

/** The code of a configuration shares its process with the loader, and can say what it likes. */
const fromLoader: z.ZodType<FromLoader> = z.union([
  z.object({
    kind: z.literal("value"),
    value: z.unknown(),
    functions: z.array(z.array(z.union([z.string(), z.number()]))),
  }),
  z.object({ kind: z.literal("refused"), reasons: z.array(reason).min(1) }),
]);
const refused = (message: string): FromLoader => ({ kind: "refused", reasons: [{ message, at: null }] });

function ask(file: string, bundle: string, limit: number): Promise<FromLoader> {
  const { promise, resolve: answer } = Promise.withResolvers<FromLoader>();
  const child: Child<never> = spawnChild<never, FromLoader>({
    program: resolve(import.meta.dirname, "loader-child.ts"),
    args: [resolve(file), bundle],
    unprivileged: true,
    talksAside: true,
    onMessage: (message) => answer(fromLoader.safeParse(message).data ?? refused("Its process answered nonsense")),
    onExit: (code, signal) =>
      answer(refused(`Its process ended before it answered (${signal ?? `exit code ${code}`})`)),
  });
  const timer = setTimeout(() => answer(refused(`It did not finish within ${formatDuration(limit)}`)), limit);
  return promise.finally(async () => {
    clearTimeout(timer);
    child.kill("SIGKILL");
    await child.exited;
  });
}
