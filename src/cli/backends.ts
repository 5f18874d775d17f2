import { type Command, Option } from "commander";
import { type BackendState, backendStates } from "../core/backend.ts";
import { backendsOf, backendsText } from "../observe/lists.ts";
import { askStatus, instanceOption } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { meant } from "./meant.ts";
import { print } from "./output.ts";

interface Options {
  instance: string;
  state?: BackendState;
  json?: boolean;
}

async function backends(service: string | undefined, { instance, state, json }: Options): Promise<void> {
  const model = await askStatus(instance);
  const names = model.services.map(({ name }) => name);
  if (service !== undefined && !names.includes(service)) {
    console.error(`error: there is no service "${service}"${meant(service, names)}`);
    process.exit(EXIT.usage);
  }
  const found = backendsOf(model, { service, state });
  if (json) await print(JSON.stringify({ schema: "sluice.backends/v1", backends: found }, null, 2));
  else await print(found.length === 0 ? "no backends" : backendsText(found, model.at));
}

export function registerBackends(program: Command): void {
  program
    .command("backends [service]")
    .description("list the backends of all services, or of one, a line each")
    .addOption(new Option("--state <state>", "only those in this state").choices(backendStates))
    .option("--json", "as JSON (sluice.backends/v1)")
    .option(...instanceOption)
    .action(backends);
}
