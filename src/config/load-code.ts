import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { configProblem, type Result, refuse } from "../core/problem.ts";
import { type Child, spawnChild } from "../runtime/child.ts";
import type { FromLoader } from "./loader-child.ts";

/** How long a configuration's code may run, ms. */
export const CODE_LIMIT = 5000;

/** Longest reason that is passed on: the code's own errors may hold whole files. */
const MAX_REASON = 2000;

/**
 * Evaluates a TypeScript configuration in a throw-away child, without rights and for at most 5 s.
 * `bundleDir` is where the bundle stays for the workers (made when absent); null: it is thrown away.
 */
export async function loadCode(
  file: string,
  bundleDir: string | null,
): Promise<Result<{ value: unknown; bundle: string | null }>> {
  const directory = bundleDir === null ? mkdtempSync(join(tmpdir(), "sluice-config-")) : bundleDir;
  try {
    mkdirSync(directory, { recursive: true });
    // The child reads the bundle once it is `nobody`.
    chmodSync(directory, 0o755);
    const bundle = join(directory, "config.js");
    const answer = await ask(file, bundle);
    if (answer.kind === "value")
      return { ok: true, value: { value: answer.value, bundle: bundleDir === null ? null : bundle } };
    return refuse(
      ...answer.reasons.map((reason) =>
        configProblem("SLUICE_CONFIG_CODE", [], `${reason.slice(0, MAX_REASON).replace(/[.\s]*$/, "")}.`),
      ),
    );
  } catch (error) {
    const message = `the bundle cannot be kept: ${error instanceof Error ? error.message : String(error)}.`;
    return refuse(configProblem("SLUICE_CONFIG_CODE", [], message));
  } finally {
    if (bundleDir === null) rmSync(directory, { recursive: true, force: true });
  }
}

function ask(file: string, bundle: string): Promise<FromLoader> {
  const { promise, resolve: answer } = Promise.withResolvers<FromLoader>();
  let timer: NodeJS.Timeout | undefined;
  const child: Child<never> = spawnChild<never, FromLoader>({
    program: resolve(import.meta.dirname, "loader-child.ts"),
    args: [resolve(file), bundle],
    unprivileged: true,
    onMessage: answer,
    onExit: (code, signal) =>
      answer({ kind: "refused", reasons: [`its process ended before it answered (${signal ?? `exit code ${code}`})`] }),
  });
  timer = setTimeout(
    () => answer({ kind: "refused", reasons: [`it did not finish within ${CODE_LIMIT / 1000} s`] }),
    CODE_LIMIT,
  );
  return promise.finally(async () => {
    clearTimeout(timer);
    child.kill("SIGKILL");
    await child.exited;
  });
}
