import { existsSync } from "node:fs";
import type { Catalog } from "../catalog.ts";
import { diagnose } from "../config/diagnose.ts";
import { type Loaded, loadConfig } from "../config/load.ts";
import { wantsColor } from "../config/terminal.ts";

/** Looked for, in this order, when `-c` is not given. */
const defaults = ["sluice.yaml", "sluice.config.ts"];

/** The configuration file that a command means. */
export const configFile = (given: string | undefined): string =>
  given ?? defaults.find((f) => existsSync(f)) ?? defaults[0]!;

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
