import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import { firstSnapshot } from "../config/first-snapshot.ts";
import type { Explained } from "../core/method.ts";
import { ok, type Result } from "../core/problem.ts";
import type { Config } from "../core/service.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { EXIT, loadForCommand } from "./config-file.ts";
import { askDaemon, instanceOption, orExit } from "./daemon-client.ts";

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
    seed: revision?.seed ?? 0,
  });
}

/** From a file alone: every ready backend is taken as up. */
function explainFile(config: Config, method: string, question: Record<string, string>) {
  const services = config.services.filter((service) => service.method === method);
  const settings = (config.settings as Record<string, unknown>)[method];
  return explainBy(method, question, { services, snapshots: services.map(firstSnapshot), settings, seed: 0 });
}

interface Options {
  dns?: string;
  type: string;
  from?: string;
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

/** `sluice explain`: why an answer is what it is. */
export function registerExplain(program: Command): void {
  program
    .command("explain")
    .description("say why a name is answered as it is, for a client: path, place, backends, time to live")
    .requiredOption("--dns <name>", "the name that is asked for")
    .option("--type <type>", "type of the question", "A")
    .option("--from <client>", "address, or network such as 198.51.100.0/24, of who asks")
    .option("-c, --config <file>", "explain this file instead of the daemon's state")
    .option("--json", "the lines as JSON (sluice.explain/v1)")
    .option(...instanceOption)
    .action(async (options: Options) => {
      const { dns, type, from } = options;
      const lines = await linesOf(options, { name: dns!, type, ...(from === undefined ? {} : { from }) });
      const json = { schema: "sluice.explain/v1", name: dns, type, from: from ?? null, lines };
      process.stdout.write(options.json ? `${JSON.stringify(json, null, 2)}\n` : `${lines.join("\n")}\n`);
    });
}
