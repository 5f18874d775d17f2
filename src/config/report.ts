import { annotations, diagnose, problemsJson } from "./diagnose.ts";
import type { Loaded } from "./parse.ts";
import { plain } from "./terminal.ts";

export interface ReportOptions {
  json: boolean;
  color: boolean;
  /** Add annotations for GitHub Actions. */
  github: boolean;
}

/** What `sluice check` says of a loaded configuration: its problems, or one sentence. Pure. */
export function checkReport(loaded: Loaded, options: ReportOptions): string {
  const { problems, source } = loaded;
  if (options.json) {
    const model = { schema: "sluice.check/v1", valid: loaded.ok, problems: problemsJson(problems, source.file) };
    return `${JSON.stringify(model, null, 2)}\n`;
  }
  const state = loaded.ok ? "the configuration is valid" : "nothing was changed";
  const told = diagnose(problems, source, { color: options.color, state });
  return `${told || validText(loaded)}${options.github ? annotations(problems, source.file) : ""}`;
}

function validText(loaded: Loaded): string {
  if (!loaded.ok) return "";
  const { services } = loaded.value;
  const backends = services.reduce((sum, s) => sum + s.backends.length, 0);
  const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;
  return `${plain(loaded.source.file)} is valid: ${count(services.length, "service")}, ${count(backends, "backend")}.\n`;
}
