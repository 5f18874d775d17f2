import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import { toWritten } from "../config/written.ts";
import { configFile, loadForCommand } from "./config-file.ts";
import { EXIT } from "./exit.ts";

/** `sluice adapt`: the configuration as JSON with every default filled in. */
export function registerAdapt(program: Command): void {
  program
    .command("adapt")
    .description("print the configuration as JSON, with every default filled in; it loads to the same")
    .option("-c, --config <file>", "configuration file, - for standard input (default: sluice.yaml, sluice.config.ts)")
    .option("--compact", "on one line")
    .action(async (options: { config?: string; compact?: boolean }) => {
      const loaded = await loadForCommand(configFile(options.config), catalog, "nothing was printed");
      if (!loaded) {
        process.exitCode = EXIT.config;
        return;
      }
      const written = toWritten(loaded.value, loaded.raw, catalog);
      process.stdout.write(`${JSON.stringify(written, null, options.compact ? undefined : 2)}\n`);
    });
}
