import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import { jsonSchema } from "../config/schema.ts";

/** `sluice schema`: the JSON Schema of the configuration, for editors. */
export function registerSchema(program: Command): void {
  program
    .command("schema")
    .description("print the JSON Schema (draft 7) of the configuration, for editors")
    .action(() => {
      process.stdout.write(`${JSON.stringify(jsonSchema(catalog), null, 2)}\n`);
    });
}
