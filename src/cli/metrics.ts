import { once } from "node:events";
import type { Command } from "commander";
import { askDaemon, instanceOption } from "./daemon-client.ts";

export function registerMetrics(program: Command): void {
  program
    .command("metrics")
    .description("print the daemon's metrics as Prometheus text")
    .option(...instanceOption)
    .action(async ({ instance }: { instance: string }) => {
      // Of very many backends it is large: each part is written as it comes.
      for await (const part of (await askDaemon(instance, "/metrics")).body!)
        if (!process.stdout.write(part)) await once(process.stdout, "drain");
    });
}
