import type { Command } from "commander";
import { servicesText } from "../observe/lists.ts";
import { askStatus, instanceOption } from "./daemon-client.ts";
import { print } from "./output.ts";

export function registerServices(program: Command): void {
  program
    .command("services")
    .description("list the services, a line each")
    .option(...instanceOption)
    .option("--json", "as JSON (sluice.services/v1)")
    .action(async ({ instance, json }: { instance: string; json?: boolean }) => {
      const { services } = await askStatus(instance);
      const plain = services.map(({ backends, ...service }) => ({
        ...service,
        backends: backends.length,
        eligible: backends.filter(({ eligible }) => eligible).length,
      }));
      if (json) await print(JSON.stringify({ schema: "sluice.services/v1", services: plain }, null, 2));
      else await print(services.length === 0 ? "no services" : servicesText(services));
    });
}
