import type { Command } from "commander";
import { eventText, type Recorded } from "../observe/events.ts";
import { sleep } from "../runtime/clock.ts";
import { fetchUnix, type Question } from "../runtime/http.ts";
import { linesOf } from "../runtime/lines.ts";
import { instancePaths } from "../system/instance.ts";
import { askDaemon, instanceOption } from "./daemon-client.ts";
import { endWithReader, print } from "./output.ts";

/** ms between two tries to find the next daemon. */
const AGAIN = 500;

/** Those that are kept, oldest first. */
async function* kept(instance: string): AsyncGenerator<Recorded> {
  const response = await askDaemon(instance, "/v1/events");
  yield* (await response.json()) as Recorded[];
}

/** Those that are kept and each as it happens, once and in order; when a daemon ends, the next one's. Never ends. */
async function* followed(instance: string): AsyncGenerator<Recorded> {
  const { adminSocket } = instancePaths(instance);
  let last = 0;
  const path = (): string => `/v1/events?follow&after=${last}`;
  const patient: Question = { timeout: false };
  let response: Response | null = await askDaemon(instance, path(), patient);
  for (let told = false; ; response = await fetchUnix(adminSocket, path(), patient).catch(() => null)) {
    for await (const line of response?.body ? linesUntilCut(response.body) : []) {
      const recorded = JSON.parse(line) as Recorded;
      if (last > 0 && recorded.sequence !== last + 1)
        console.error("sluice: events may be missing here: a daemon has begun anew, or more have come than are kept");
      last = recorded.sequence;
      told = false;
      yield recorded;
    }
    if (!told) console.error("sluice: the daemon has ended its events; waiting for it or the next one");
    told = true;
    await sleep(AGAIN);
  }
}

/** A daemon that dies cuts the body off: it ends there, and what was whole has been told. */
async function* linesUntilCut(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  try {
    yield* linesOf(body);
  } catch {}
}

export function registerEvents(program: Command): void {
  program
    .command("events")
    .description("show what has happened: state changes, revisions, workers")
    .option(...instanceOption)
    .option("-f, --follow", "go on as things happen, also when the daemon is replaced")
    .option("--json", "one event a line (sluice.event/v1)")
    .action(async ({ instance, follow, json }: { instance: string; follow?: boolean; json?: boolean }) => {
      if (follow) endWithReader();
      for await (const recorded of follow ? followed(instance) : kept(instance))
        await print(
          json
            ? JSON.stringify({ schema: "sluice.event/v1", ...recorded })
            : `${new Date(recorded.event.at).toISOString()} ${eventText(recorded.event)}`,
        );
    });
}
