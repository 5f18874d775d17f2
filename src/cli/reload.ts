import type { Command } from "commander";
import type { Outcome } from "../admin/api.ts";
import { instanceOption, orExit, tellDaemon } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

export function registerReload(program: Command): void {
  program
    .command("reload")
    .description("read the configuration again; it is applied whole or not at all")
    .option(...instanceOption)
    .option("--json", "the outcome as JSON (sluice.revision/v1)")
    .action(async (options: { instance: string; json?: boolean }) => {
      const response = await tellDaemon(options.instance, "/v1/reload");
      if (response.status !== 422) await orExit(response, EXIT.config);
      process.exitCode = await sayOutcome((await response.json()) as Outcome, options.json);
    });
}

/** Says what came of a revision, in the shape `sluice.revision/v1` where JSON is wanted. @returns the exit code. */
export async function sayOutcome(outcome: Outcome, json = false): Promise<number> {
  const good = outcome.problems.length === 0;
  if (json) await print(JSON.stringify({ schema: "sluice.revision/v1", ...outcome }, null, 2));
  else (good ? process.stdout : process.stderr).write(outcome.text);
  return good ? EXIT.ok : EXIT.config;
}
