import type { Command } from "commander";
import { askDaemon, instanceOption } from "./daemon-client.ts";
import { pour } from "./output.ts";

export function registerMetrics(program: Command): void {
  program
    .command("metrics")
    .description("print the daemon's metrics as Prometheus text")
    .option(...instanceOption)
    .action(async ({ instance }: { instance: string }) => {
      await pour((await askDaemon(instance, "/metrics")).body!);
    });
}
