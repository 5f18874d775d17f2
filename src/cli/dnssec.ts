import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import { configFile, loadForCommand } from "./config-file.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

interface Options {
  config?: string;
  json?: boolean;
}

type Work = typeof import("../methods/dns/dnssec/operator.ts")["operators"];

const facts = (said: ReturnType<Work[keyof Work]>) =>
  said.ok ? { said: said.value, problems: [] } : { said: [], problems: said.problems };

/** Loads the configuration and lets the operator's side of the dns method speak; ends the process when it refuses. */
async function act(word: keyof Work, words: string[], { config, json }: Options): Promise<void> {
  const loaded = await loadForCommand(configFile(config), catalog, "nothing was changed");
  if (loaded === null) process.exit(EXIT.config);
  const { operators, saidText } = await import("../methods/dns/dnssec/operator.ts");
  const { services, settings } = loaded.value;
  const mine = services.filter(({ method }) => method === "dns");
  const said = operators[word](mine, settings.dns, words);
  if (json) await print(JSON.stringify({ schema: "sluice.dnssec/v1", ...facts(said) }, null, 2));
  else if (said.ok) await print(said.value.map(saidText).join("\n"));
  if (!said.ok) {
    for (const { code, message, hint } of said.problems)
      console.error(`error ${code}: ${message}${hint ? ` ${hint}` : ""}`);
    process.exit(EXIT.config);
  }
}

/** `sluice dnssec`: the keys of signed zones. A running daemon follows within seconds. */
export function registerDnssec(program: Command): void {
  const dnssec = program.command("dnssec").description("keys of signed zones: show, DS for the parent, rollovers");
  const add = (word: keyof Work, usage: string, text: string): void => {
    dnssec
      .command(usage)
      .description(text)
      .option("-c, --config <file>", "configuration file: says which zones, and where their keys are")
      .option("--json", "what is said, as JSON (sluice.dnssec/v1)")
      .action((...given: unknown[]) => {
        const words = given.filter((part): part is string => typeof part === "string");
        return act(word, words, given.find((part) => typeof part === "object" && part !== null) as Options);
      });
  };
  add("status", "status", "every key with its state, and what comes next");
  add("keys", "keys", "make the keys of zones that have none");
  add("ds", "ds <zone>", "the DS record that belongs into the parent");
  add("rollZsk", "roll-zsk <zone>", "begin to replace the zone-signing key");
  add("rollKsk", "roll-ksk <zone>", "begin to replace the key-signing key");
  add("seen", "seen <zone> <tag>", "say that the parent has the DS of this key-signing key");
}
