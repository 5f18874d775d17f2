import type { Command } from "commander";
import { type Catalog, catalog } from "../catalog.ts";
import { firstSnapshot } from "../config/first-snapshot.ts";
import { loadConfig } from "../config/load.ts";
import { checkReport } from "../config/report.ts";
import { wantsColor } from "../config/terminal.ts";
import { type HostChange, hostChangeText } from "../core/host-change.ts";
import type { HostFacts } from "../core/method.ts";
import { type Config, listenerName } from "../core/service.ts";
import { createHostFacts } from "../system/host-facts.ts";
import { configFile } from "./config-file.ts";
import { instanceOption } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";

interface CheckOptions {
  config?: string;
  json?: boolean;
  changes?: boolean;
  instance: string;
}

/** `sluice check`: is the configuration valid, and what would it change on this host? */
export function registerCheck(program: Command): void {
  program
    .command("check")
    .alias("validate")
    .description("check a configuration without running it: every problem, with its place")
    .option("-c, --config <file>", "configuration file (default: sluice.yaml, sluice.config.ts)")
    .option("--json", "the problems as JSON (sluice.check/v1; with --changes of a valid file sluice.changes/v1)")
    .option("--changes", "also list all that `run` would touch on this host")
    .option(...instanceOption)
    .action(async (options: CheckOptions) => {
      const loaded = await loadConfig(configFile(options.config), catalog);
      const text = checkReport(loaded, {
        json: options.json === true && (options.changes !== true || !loaded.ok),
        color: wantsColor(process.stdout),
        github: process.env.GITHUB_ACTIONS === "true",
      });
      process.exitCode = loaded.ok ? EXIT.ok : EXIT.config;
      if (!options.changes || !loaded.ok) {
        process.stdout.write(text);
        return;
      }
      const touched = hostChanges(loaded.value, catalog, createHostFacts(options.instance));
      process.stdout.write(
        options.json ? `${JSON.stringify({ schema: "sluice.changes/v1", ...touched }, null, 2)}\n` : text,
      );
      if (!options.json) process.stdout.write(changesText(touched));
    });
}

interface Touched {
  sockets: string[];
  changes: { text: string; change: HostChange }[];
}

/** All that running this configuration would touch on a host: sockets and changes, each once. Pure given the facts. */
export function hostChanges(config: Config, from: Catalog, facts: HostFacts): Touched {
  const sockets = new Set<string>();
  const changes = new Map<string, HostChange>();
  for (const method of from.methods) {
    const services = config.services.filter((s) => s.method === method.name);
    if (services.length === 0) continue;
    if (method.runs === "worker") {
      const own = method.sockets?.(services, config.settings[method.name]) ?? [];
      const listen = method.traits.arrival === "listen" ? services.flatMap((s) => s.listen) : [];
      for (const listener of [...own, ...listen]) sockets.add(listenerName(listener));
    }
    const { geography } = config;
    const compiled = services.map((s) => method.compile(s, firstSnapshot(s), { number: 0, seed: 0, geography }));
    for (const change of method.changes?.(compiled, facts) ?? []) changes.set(hostChangeText(change), change);
  }
  return { sockets: [...sockets], changes: [...changes].map(([text, change]) => ({ text, change })) };
}

function changesText({ sockets, changes }: Touched): string {
  const lines = [...sockets.map((s) => `listening socket ${s}`), ...changes.map((c) => c.text)];
  const body = lines.length === 0 ? "  nothing\n" : lines.map((line) => `  ${line}\n`).join("");
  return `\`sluice run\` would set on this host (and \`sluice down\` remove):\n${body}`;
}
