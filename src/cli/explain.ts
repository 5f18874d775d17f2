import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import { firstSnapshot } from "../config/first-snapshot.ts";
import type { Explained } from "../core/method.ts";
import { ok, type Result } from "../core/problem.ts";
import type { Config } from "../core/service.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { loadForCommand } from "./config-file.ts";
import { askDaemon, instanceOption, orExit } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { explainFlow } from "./explain-flow.ts";

/** What a method says of a question; null when it explains nothing or is not used. */
async function explainBy(
  method: string,
  question: Record<string, string>,
  state: Explained,
): Promise<Result<string[]> | null> {
  const explain = await catalog.methods.find(({ name }) => name === method)?.explain?.();
  return explain && state.services.length > 0 ? explain(state, question) : null;
}

/** For the daemon: from the running revision and the present health. */
export function explainRunning(supervisor: Supervisor, method: string, question: Record<string, string>) {
  const entries = [...supervisor.book.entries.values()].filter(({ service }) => service.method === method);
  const { revision } = supervisor;
  return explainBy(method, question, {
    services: entries.map(({ service }) => service),
    snapshots: entries.map(({ snapshot }) => snapshot),
    settings: (revision?.config.settings as Record<string, unknown> | undefined)?.[method],
    geography: revision?.config.geography ?? { places: {} },
    seed: revision?.seed ?? 0,
  });
}

/** From a file alone: every ready backend is taken as up. */
function explainFile(config: Config, method: string, question: Record<string, string>) {
  const services = config.services.filter((service) => service.method === method);
  const settings = (config.settings as Record<string, unknown>)[method];
  const snapshots = services.map(firstSnapshot);
  return explainBy(method, question, { services, snapshots, settings, geography: config.geography, seed: 0 });
}

interface Options {
  dns?: string;
  to?: string;
  type: string;
  from?: string;
  quicId?: string;
  config?: string;
  instance: string;
  json?: boolean;
}

/** The lines, from the file that was named or the daemon; ends the process when there is no answer. */
async function linesOf(options: Options, question: Record<string, string>): Promise<string[]> {
  if (options.config === undefined) {
    const query = new URLSearchParams(question);
    const response = await orExit(await askDaemon(options.instance, `/v1/explain/dns?${query}`), EXIT.usage);
    return ((await response.json()) as { lines: string[] }).lines;
  }
  const loaded = await loadForCommand(options.config, catalog, "nothing can be explained");
  if (loaded === null) process.exit(EXIT.config);
  const said = (await explainFile(loaded.value, "dns", question)) ?? ok(["No service answers names."]);
  if (said.ok) return ["No daemon was asked: every ready backend is taken as up.", ...said.value];
  console.error(`error ${said.problems[0]!.code}: ${said.problems[0]!.message}`);
  process.exit(EXIT.usage);
}

function leave(message: string): never {
  console.error(`error: ${message}`);
  process.exit(EXIT.usage);
}

const print = (json: boolean | undefined, model: object, lines: readonly string[]): void =>
  void process.stdout.write(json ? `${JSON.stringify(model, null, 2)}\n` : `${lines.join("\n")}\n`);

async function explain(options: Options): Promise<void> {
  const { dns, to, type, from, quicId, instance, json } = options;
  if ((dns === undefined) === (to === undefined)) leave("say either --dns NAME, or --from ADDRESS:PORT --to VIP:PORT");
  if (dns !== undefined) {
    const lines = await linesOf(options, { name: dns, type, ...(from === undefined ? {} : { from }) });
    return print(json, { schema: "sluice.explain/v1", name: dns, type, from: from ?? null, lines }, lines);
  }
  const found = explainFlow({
    from: from ?? leave("--to needs --from ADDRESS:PORT"),
    to: to!,
    instance,
    ...(quicId === undefined ? {} : { quicId }),
  });
  if (typeof found === "string") leave(found);
  print(json, { schema: "sluice.explain/v1", from, to, lines: found.lines, ...(found.answers as object) }, found.lines);
}

/** `sluice explain`: why an answer is what it is. */
export function registerExplain(program: Command): void {
  program
    .command("explain")
    .description("say why a name is answered as it is, or where a flow to a VIP of the xdp data plane goes")
    .option("--dns <name>", "the name that is asked for")
    .option("--to <vip>", "VIP:PORT, or VIP:PORT/udp: asks the kernel's own rules, changes nothing")
    .option("--type <type>", "type of the DNS question", "A")
    .option(
      "--from <client>",
      "with --to the client's ADDRESS:PORT; with --dns an address, or a network such as 198.51.100.0/24",
    )
    .option("--quic-id <hex>", "with --to: the destination connection ID of a QUIC packet")
    .option("-c, --config <file>", "with --dns: explain this file instead of the daemon's state")
    .option("--json", "as JSON (sluice.explain/v1)")
    .option(...instanceOption)
    .action(explain);
}
