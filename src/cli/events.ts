import type { Command } from "commander";
import { eventText, type Recorded } from "../observe/events.ts";
import { linesOf } from "../runtime/lines.ts";
import { askDaemon, instanceOption } from "./daemon-client.ts";
import { print } from "./output.ts";

export function registerEvents(program: Command): void {
  program
    .command("events")
    .description("show what has happened: state changes, revisions, workers")
    .option(...instanceOption)
    .option("-f, --follow", "go on as things happen")
    .option("--json", "one event a line")
    .action(async (options: { instance: string; follow?: boolean; json?: boolean }) => {
      const show = (recorded: Recorded): Promise<void> =>
        print(
          options.json
            ? JSON.stringify(recorded)
            : `${new Date(recorded.event.at).toISOString()} ${eventText(recorded.event)}`,
        );
      const response = await askDaemon(options.instance, `/v1/events${options.follow ? "?follow" : ""}`);
      if (!options.follow) {
        for (const recorded of (await response.json()) as Recorded[]) await show(recorded);
        return;
      }
      for await (const line of linesOf(response.body!)) await show(JSON.parse(line) as Recorded);
    });
}
