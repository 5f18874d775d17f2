import type { Command } from "commander";
import type { KeptRevision, Outcome } from "../admin/api.ts";
import { aligned } from "../observe/table.ts";
import { ageText } from "../observe/units.ts";
import { askDaemon, instanceOption, orExit, tellDaemon } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { print } from "./output.ts";
import { sayOutcome } from "./reload.ts";
import { wholeNumber } from "./whole-number.ts";

interface Options {
  instance: string;
  list?: boolean;
  json?: boolean;
}

async function list({ instance, json }: Options): Promise<void> {
  const revisions = (await (await askDaemon(instance, "/v1/revisions")).json()) as KeptRevision[];
  if (json) {
    await print(JSON.stringify({ schema: "sluice.revisions/v1", revisions }, null, 2));
    return;
  }
  const rows = revisions.map(({ revision, as, at, running }) => [
    String(revision),
    `${ageText(Date.now() - at)} ago`,
    [as === revision ? "" : `what ${as} was`, running ? "running" : ""].filter(Boolean).join(", "),
  ]);
  await print(aligned([["REVISION", "SINCE", ""], ...rows], new Set([0])).join("\n"));
}

async function rollback(to: number | undefined, options: Options): Promise<void> {
  if (options.list) return list(options);
  const response = await tellDaemon(options.instance, "/v1/rollback", { revision: to });
  if (response.status !== 422) await orExit(response, EXIT.usage);
  process.exitCode = await sayOutcome((await response.json()) as Outcome, options.json);
}

export function registerRollback(program: Command): void {
  program
    .command("rollback")
    .description("run what an earlier revision was, whole or not at all; the configuration file stays as it is")
    .argument("[revision]", "its number; default: the last one that was different", wholeNumber(1, 999_999_999))
    .option("--list", "only list the revisions that are kept")
    .option("--json", "as JSON (sluice.revision/v1; the list sluice.revisions/v1)")
    .option(...instanceOption)
    .action(rollback);
}
