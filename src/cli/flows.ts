import { type Command, InvalidArgumentError } from "commander";
import { parseEndpoint } from "../core/address.ts";
import { type ListedFlow, listFlows } from "../dataplane/flow-list.ts";
import { PlaneView } from "../dataplane/plane-view.ts";
import { aligned } from "../observe/table.ts";
import { instancePaths } from "../system/instance.ts";
import { instanceOption, nothingInKernel } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { meant } from "./meant.ts";
import { print } from "./output.ts";
import { wholeNumber } from "./whole-number.ts";

interface Options {
  instance: string;
  service?: string;
  backend?: string;
  after: number;
  limit: number;
  json?: boolean;
}

function leave(message: string): never {
  console.error(`error: ${message}`);
  process.exit(EXIT.usage);
}

const head = ["ID", "SERVICE", "PROTO", "SLOT", "TAG", "BACKEND", "STATE", "SILENT"];

function tableText(flows: readonly ListedFlow[]): string {
  const rows = flows.map((flow) => [
    String(flow.id),
    flow.service,
    flow.protocol,
    String(flow.slot),
    flow.tag,
    flow.backend ?? "-",
    flow.state,
    `${flow.silent}s`,
  ]);
  return aligned([head, ...rows]).join("\n");
}

function endpoint(text: string): string {
  const parsed = parseEndpoint(text);
  if (!parsed) throw new InvalidArgumentError("It is ADDRESS:PORT.");
  const { address, port } = parsed;
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}

async function flows({ instance, service, backend, after, limit, json }: Options): Promise<void> {
  const view = PlaneView.open(instancePaths(instance).bpfDir);
  if (!view) nothingInKernel(instance);
  const names = view.services().map(({ name }) => name);
  if (service !== undefined && !names.includes(service)) {
    leave(`no service "${service}" is in the kernel${meant(service, names)}`);
  }
  const found = listFlows(view, { service, backend, after, limit });
  view.close();
  if (json) {
    await print(JSON.stringify({ schema: "sluice.flows/v1", ...found }, null, 2));
    return;
  }
  if (found.flows.length === 0) console.error("no flow is written down: where slots are settled none needs to be");
  else await print(tableText(found.flows));
  if (found.more) console.error(`there are more: --after ${found.flows.at(-1)!.id}`);
}

/** `sluice flows`: the entries of the flow table. */
export function registerFlows(program: Command): void {
  program
    .command("flows")
    .description("list the flows that the xdp data plane has written down")
    .option("--service <name>", "of this service")
    .option("--backend <endpoint>", "that go to this ADDRESS:PORT", endpoint)
    .option("--after <id>", "go on behind this entry", wholeNumber(0, 999_999_999), 0)
    .option("--limit <n>", "at most so many", wholeNumber(1, 1_000_000), 100)
    .option("--json", "as JSON (sluice.flows/v1)")
    .option(...instanceOption)
    .action(flows);
}
