import type { Command } from "commander";
import { instanceOption, orExit, tellDaemon } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

export function registerReload(program: Command): void {
  program
    .command("reload")
    .description("read the configuration again; it is applied whole or not at all")
    .option(...instanceOption)
    .option("--json", "the outcome as JSON")
    .action(async (options: { instance: string; json?: boolean }) => {
      const response = await tellDaemon(options.instance, "/v1/reload");
      if (response.status !== 422) await orExit(response, EXIT.config);
      const outcome = (await response.json()) as { revision: number; text: string };
      if (options.json) await print(JSON.stringify(outcome, null, 2));
      else (response.ok ? process.stdout : process.stderr).write(outcome.text);
      process.exitCode = response.ok ? EXIT.ok : EXIT.config;
    });
}
