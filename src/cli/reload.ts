import type { Command } from "commander";
import { instanceOption, tellDaemon } from "./daemon-client.ts";

export function registerReload(program: Command): void {
  program
    .command("reload")
    .description("read the configuration again; it is applied whole or not at all")
    .option(...instanceOption)
    .option("--json", "the outcome as JSON")
    .action(async (options: { instance: string; json?: boolean }) => {
      const response = await tellDaemon(options.instance, "/v1/reload");
      const outcome = (await response.json()) as { revision: number; text: string };
      if (options.json) console.log(JSON.stringify(outcome, null, 2));
      else (response.ok ? process.stdout : process.stderr).write(outcome.text);
      process.exit(response.ok ? 0 : 1);
    });
}
