import type { Command } from "commander";
import { instanceOption, orExit, tellDaemon } from "./daemon-client.ts";

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
      .action(async ({ instance }: { instance: string }) => {
        await orExit(await tellDaemon(instance, "/v1/role", { role: wanted }), 4);
        console.error(`this director is ${wanted} now`);
      });
}
