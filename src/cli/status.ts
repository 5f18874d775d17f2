import type { Command } from "commander";
import { wantsColor } from "../config/terminal.ts";
import { isEmpty } from "../observe/lists.ts";
import type { StatusModel } from "../observe/status.ts";
import { statusText } from "../observe/status-text.ts";
import { sleep } from "../runtime/clock.ts";
import { askStatus, instanceOption } from "./daemon-client.ts";

/** Something is wrong that an operator should look at: a service failed, or none of its backends may get work. */
const degraded = (model: StatusModel): boolean =>
  model.services.some((service) => service.state === "failed" || isEmpty(service));

export function registerStatus(program: Command): void {
  program
    .command("status")
    .description("show services and backends: state, share, counts, last check")
    .option(...instanceOption)
    .option("--json", "the whole model, versioned (sluice.status/v1)")
    .option(
      "--wait <seconds>",
      "wait until every service has an eligible backend; exit 1 when that takes longer",
      Number,
    )
    .action(async (options: { instance: string; json?: boolean; wait?: number }) => {
      let model = await askStatus(options.instance);
      for (let left = (options.wait ?? 0) * 10; left > 0 && degraded(model); left--) {
        await sleep(100);
        model = await askStatus(options.instance);
      }
      const color = wantsColor(process.stdout);
      process.stdout.write(
        options.json
          ? `${JSON.stringify(model, null, 2)}\n`
          : `${statusText(model, { color, width: process.stdout.columns ?? 120 })}\n`,
      );
      process.exit(options.wait !== undefined && degraded(model) ? 1 : 0);
    });
}
