import { resolve } from "node:path";
import type { Command } from "commander";
import { catalog } from "../catalog.ts";
import type { StatusModel } from "../observe/status.ts";
import { sleep } from "../runtime/clock.ts";
import { fetchUnix } from "../runtime/http.ts";
import { instanceHeld, instancePaths } from "../system/instance.ts";
import { loadForCommand } from "./config-file.ts";
import { askDaemon, instanceOption, orExit, tellDaemon } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";

interface UpgradeOptions {
  config?: string;
  instance: string;
  json?: boolean;
}

/** ms that the next daemon may take until it serves: its checks' first verdicts are in that. */
const LIMIT = 60_000;

/** `sluice upgrade`: the program that is on disk takes over from the daemon that runs. */
export function registerUpgrade(program: Command): void {
  program
    .command("upgrade")
    .description("have the program that is on disk take over from the running daemon: no connection is refused or lost")
    .option("-c, --config <file>", "configuration file (default: the one that the daemon runs)")
    .option(...instanceOption)
    .option("--json", "the outcome as JSON (sluice.upgrade/v1)")
    .action(upgrade);
}

async function upgrade(options: UpgradeOptions): Promise<void> {
  const before = (await (await askDaemon(options.instance, "/v1/status")).json()) as StatusModel;
  const file = options.config === undefined ? before.file : resolve(options.config);
  if (!(await loadForCommand(file, catalog, "the running daemon goes on"))) process.exit(EXIT.config);
  const started = await orExit(await tellDaemon(options.instance, "/v1/upgrade", { file }), EXIT.config);
  const { pid } = (await started.json()) as { pid: number };
  const after = await served(options.instance, pid);
  if (after === null) fail(options.instance, pid, before.pid);
  const { version } = after;
  if (options.json)
    await print(JSON.stringify({ schema: "sluice.upgrade/v1", from: before.pid, to: pid, version, file }, null, 2));
  else
    await print(
      `process ${before.pid} (${before.version}) has handed over to ${pid} (${version}), which serves revision ${after.revision} of ${file}`,
    );
}

/** The status of the daemon `pid` once it serves; null when it has ended, or takes too long. */
async function served(name: string, pid: number): Promise<StatusModel | null> {
  const { adminSocket } = instancePaths(name);
  for (const end = performance.now() + LIMIT; performance.now() < end; await sleep(50)) {
    // The daemon that goes may go in the middle of an answer.
    const model = await fetchUnix(adminSocket, "/v1/status")
      .then((response) => response.json() as Promise<StatusModel>)
      .catch(() => null);
    if (model?.pid === pid) return model;
    if (!alive(pid)) return null;
  }
  return null;
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function fail(name: string, pid: number, before: number): never {
  console.error(`error SLUICE_UPGRADE: process ${pid} did not take over; what it said is in the daemon's log`);
  if (alive(before) && instanceHeld(instancePaths(name))) {
    console.error(`  process ${before} goes on as before`);
    process.exit(EXIT.config);
  }
  console.error("  no daemon runs now: what it had started serves on, without checks. Start one with: sluice run");
  process.exit(EXIT.unreachable);
}
