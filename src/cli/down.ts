import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { Problem } from "../core/problem.ts";
import { removePinned } from "../dataplane/pins.ts";
import { endOrphans } from "../supervisor/orphans.ts";
import { undoAll } from "../system/host-changes.ts";
import { type Instance, instanceHeld, instancePaths, removeInstance } from "../system/instance.ts";
import { instanceOption, leaveToRoot } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

interface DownOptions {
  instance: string;
  force?: boolean;
  json?: boolean;
}

/** ms that workers of a dead daemon may take to finish. */
const ORPHAN_GRACE = 2000;

/** `sluice down`: removes every trace of an instance from the host, with no daemon needed. */
export function registerDown(program: Command): void {
  program
    .command("down")
    .description("remove every address, rule, program, pin and sysctl that an instance has set; needs no daemon")
    .option(...instanceOption)
    .option("--force", "also while a daemon of the instance runs: it loses what it has set")
    .option("--json", "what was done, versioned (sluice.down/v1)")
    .action(async (options: DownOptions) => process.exit(await down(options)));
}

/** Returns the exit code. Calling it again, or for an instance that never was, does nothing and succeeds. */
async function down({ instance: name, force, json }: DownOptions): Promise<number> {
  leaveToRoot(name);
  const instance = instancePaths(name);
  if (!force && instanceHeld(instance)) {
    console.error(`error SLUICE_INSTANCE_BUSY: a daemon of instance "${name}" is running`);
    console.error("  stop it first (SIGTERM), or say --force");
    return EXIT.usage;
  }
  const { removed, problems } = await removeAll(instance);
  if (json) await print(JSON.stringify({ schema: "sluice.down/v1", instance: name, removed, problems }, null, 2));
  for (const { code, message } of problems) console.error(`error ${code}: ${message}`);
  if (problems.length > 0) return EXIT.kernel;
  console.error(removed ? `instance "${name}" is gone from this host` : `instance "${name}" has set nothing here`);
  return EXIT.ok;
}

/** Programs first, so that no packet is caught half-way; the folder last, and only when its journal is empty. */
async function removeAll(instance: Instance): Promise<{ removed: boolean; problems: Problem[] }> {
  const orphans = await endOrphans(instance, ORPHAN_GRACE);
  const pinned = removePinned(instance.bpfDir);
  const known = existsSync(instance.runDir);
  const problems = await undoAll(instance.runDir);
  if (problems.length === 0) removeInstance(instance);
  return { removed: pinned || known || orphans > 0, problems };
}
