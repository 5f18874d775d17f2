import type { Command } from "commander";
import { wantsColor } from "../config/terminal.ts";
import { isEmpty } from "../observe/lists.ts";
import type { StatusModel } from "../observe/status.ts";
import { readStatus } from "../observe/status-json.ts";
import { lastBlock, serviceBlock, titleBlock } from "../observe/status-text.ts";
import { sleep } from "../runtime/clock.ts";
import { linesOf } from "../runtime/lines.ts";
import { askDaemon, askStatus, instanceOption } from "./daemon-client.ts";
import { pour } from "./output.ts";
import { wholeNumber } from "./whole-number.ts";

/** Something is wrong that an operator should look at: a service failed, or none of its backends may get work. */
const degraded = (model: StatusModel): boolean =>
  model.services.some((service) => service.state === "failed" || isEmpty(service));

/** Waits until nothing is wrong; false: something still is after this time. */
async function settled(instance: string, seconds: number): Promise<boolean> {
  for (let left = seconds * 10; degraded(await askStatus(instance)); left--) {
    if (left <= 0) return false;
    await sleep(100);
  }
  return true;
}

/** The status as text, each service as soon as the daemon has told of it. */
async function* shown(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const options = { color: wantsColor(process.stdout), width: process.stdout.columns || Number.POSITIVE_INFINITY };
  const { head, services } = await readStatus(linesOf(body));
  yield titleBlock(head, options);
  let empty = true;
  for await (const service of services) {
    empty = false;
    yield serviceBlock(service, head.at, options);
  }
  yield `${lastBlock(head, empty, options)}\n`;
}

export function registerStatus(program: Command): void {
  program
    .command("status")
    .description("show services and backends: state, share, counts, last check")
    .option(...instanceOption)
    .option("--json", "the whole model, versioned (sluice.status/v1), a service a line")
    .option(
      "--wait <seconds>",
      "wait until every service has an eligible backend; exit 1 when that takes longer",
      wholeNumber(0, 86_400),
    )
    .action(async (options: { instance: string; json?: boolean; wait?: number }) => {
      const good = options.wait === undefined || (await settled(options.instance, options.wait));
      const { body } = await askDaemon(options.instance, "/v1/status");
      await pour(options.json ? body! : shown(body!));
      process.exitCode = good ? 0 : 1;
    });
}
