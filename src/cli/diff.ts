import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import { type ChangeKind, planChange } from "../config/plan.ts";
import { withoutSecrets } from "../config/secrets.ts";
import type { Config } from "../core/service.ts";
import { loadForCommand } from "./config-file.ts";
import { askDaemon, askStatus, instanceOption } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

/** What a change costs, for a person. */
const costs: Record<ChangeKind, string> = {
  snapshot: "in place",
  generation: "new workers; the old ones drain",
  kernel: "tables are prepared anew; connections stay",
};

/** `sluice diff`: what a reload of this file would change in the running daemon. */
export function registerDiff(program: Command): void {
  program
    .command("diff")
    .description("say what a reload of the configuration would change, and at what cost; changes nothing")
    .option("-c, --config <file>", "configuration file (default: the one that the daemon runs)")
    .option(...instanceOption)
    .option("--json", "the plan as JSON (sluice.plan/v1)")
    .action(async (options: { config?: string; instance: string; json?: boolean }) => {
      const file = options.config ?? (await askStatus(options.instance)).file;
      const loaded = await loadForCommand(file, catalog, "a reload would be refused");
      if (!loaded) process.exit(EXIT.config);
      const running = (await (await askDaemon(options.instance, "/v1/config")).json()) as Config;
      const plan = planChange(running, withoutSecrets(loaded.value), catalog);
      if (options.json) await print(JSON.stringify({ schema: "sluice.plan/v1", ...plan }, null, 2));
      else if (plan.empty) await print("nothing would change");
      else {
        for (const s of plan.services)
          if (s.change !== "same") await print(`${s.service}  ${s.change} (${costs[s.kind]}): ${s.what.join(", ")}`);
        for (const shared of plan.shared) await print(`${shared}  changed`);
      }
      process.exit(EXIT.ok);
    });
}
