import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import { configFile, loadForCommand } from "./config-file.ts";
import { EXIT } from "./exit.ts";

type Work = typeof import("../methods/dns/dnssec/operator.ts")["operators"];

/** Loads the configuration and lets the operator's side of the dns method speak; ends the process when it refuses. */
async function act(word: keyof Work, words: string[], { config }: { config?: string }): Promise<void> {
  const loaded = await loadForCommand(configFile(config), catalog, "nothing was changed");
  if (loaded === null) process.exit(EXIT.config);
  const { operators } = await import("../methods/dns/dnssec/operator.ts");
  const { services, settings } = loaded.value;
  const mine = services.filter(({ method }) => method === "dns");
  const said = operators[word](mine, settings.dns, words);
  if (said.ok) process.stdout.write(`${said.value.join("\n")}\n`);
  else {
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
      .action((...given: unknown[]) => {
        const words = given.filter((part): part is string => typeof part === "string");
        return act(word, words, given.find((part) => typeof part === "object" && part !== null) as { config?: string });
      });
  };
  add("status", "status", "every key with its state, and what comes next");
  add("keys", "keys", "make the keys of zones that have none");
  add("ds", "ds <zone>", "the DS record that belongs into the parent");
  add("rollZsk", "roll-zsk <zone>", "begin to replace the zone-signing key");
  add("rollKsk", "roll-ksk <zone>", "begin to replace the key-signing key");
  add("seen", "seen <zone> <tag>", "say that the parent has the DS of this key-signing key");
}
