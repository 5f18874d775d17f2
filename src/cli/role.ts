import type { Command } from "commander";
import { instanceOption, orExit, tellDaemon } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

/** `promote` and `demote`: who of several directors holds the VIPs. */
export function registerRole(program: Command): void {
  const verbs = [
    ["promote", "active", "take the VIPs of the kernel methods and announce them"],
    ["demote", "standby", "give the VIPs up; everything else stays prepared"],
  ] as const;
  for (const [verb, wanted, description] of verbs)
    program
      .command(verb)
      .description(description)
      .option(...instanceOption)
      .option("--json", "the outcome as JSON (sluice.role/v1)")
      .action(async ({ instance, json }: { instance: string; json?: boolean }) => {
        await orExit(await tellDaemon(instance, "/v1/role", { role: wanted }), EXIT.kernel);
        if (json) await print(JSON.stringify({ schema: "sluice.role/v1", instance, role: wanted }, null, 2));
        console.error(`this director is ${wanted} now`);
      });
}
