import { type Command, InvalidArgumentError } from "commander";
import type { Counted } from "../core/most-wanted.ts";
import { printable } from "../observe/printable.ts";
import { askDaemon, instanceOption, orExit } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";

interface Answer {
  since: string;
  files: Counted[];
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is a number from 1 to 99999.");
}

/** `~` marks a count that may be too high, for the file was not always among those that are counted. */
const line = ({ name, count, over }: Counted): string =>
  `${String(count).padStart(10)}${over > 0 ? "~" : " "} ${printable(name)}`;

/** `sluice files SERVICE`: which files of a mirror network are wanted most. */
export function registerFiles(program: Command): void {
  program
    .command("files <service>")
    .description("show the files that clients of a redirect service with mirrors want most")
    .option("--top <number>", "how many", parseCount, 20)
    .option("--json", "as JSON (sluice.files/v1)")
    .option(...instanceOption)
    .action(async (service: string, { top, json, instance }: { top: number; json?: boolean; instance: string }) => {
      const path = `/v1/services/${encodeURIComponent(service)}/files?top=${top}`;
      const answer = (await (await orExit(await askDaemon(instance, path), EXIT.usage)).json()) as Answer;
      if (json) {
        process.stdout.write(`${JSON.stringify({ schema: "sluice.files/v1", service, ...answer }, null, 2)}\n`);
        return;
      }
      const rows = answer.files.map(line);
      process.stdout.write(`${rows.length === 0 ? "no file has been asked for" : rows.join("\n")}\n`);
    });
}
