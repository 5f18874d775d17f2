import { existsSync } from "node:fs";
import type { Catalog } from "../catalog.ts";
import { annotations, diagnose, problemsJson } from "../config/diagnose.ts";
import { type Loaded, loadConfig } from "../config/load.ts";
import { wantsColor } from "../config/terminal.ts";

/** Looked for, in this order, when `-c` is not given. */
const defaults = ["sluice.yaml", "sluice.config.ts"];

/** The configuration file that a command means. */
export const configFile = (given: string | undefined): string =>
  given ?? defaults.find((f) => existsSync(f)) ?? defaults[0]!;

/** Exit codes that every command keeps to. */
export const EXIT = { ok: 0, config: 1, usage: 2, unreachable: 3, kernel: 4 } as const;

/**
 * Loads a configuration for a command: problems are told on standard error (and as annotations on standard output
 * under GitHub Actions); null when they refuse it. `state` says how things stand in that case.
 */
export async function loadForCommand(
  file: string,
  catalog: Catalog,
  state: string,
): Promise<(Loaded & { ok: true }) | null> {
  const loaded = await loadConfig(file, catalog);
  process.stderr.write(diagnose(loaded.problems, loaded.source, { color: wantsColor(process.stderr), state }));
  return loaded.ok ? loaded : null;
}

/** How a check of a file is told: the text for standard output, and the exit code. Pure. */
export function checkReport(loaded: Loaded, options: { json: boolean; color: boolean; github: boolean }) {
  const { problems, source } = loaded;
  const code: number = loaded.ok ? EXIT.ok : EXIT.config;
  if (options.json) return { text: `${JSON.stringify(problemsJson(problems, source.file), null, 2)}\n`, code };
  const state = loaded.ok ? "the configuration is valid" : "nothing was changed";
  const told = diagnose(problems, source, { color: options.color, state });
  const notes = options.github ? annotations(problems, source.file) : "";
  return { text: `${told || validText(loaded)}${notes}`, code };
}

function validText(loaded: Loaded): string {
  if (!loaded.ok) return "";
  const { services } = loaded.value;
  const backends = services.reduce((sum, s) => sum + s.backends.length, 0);
  const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;
  return `${loaded.source.file} is valid: ${count(services.length, "service")}, ${count(backends, "backend")}.\n`;
}
