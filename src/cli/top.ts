import type { Command } from "commander";
import { wantsColor } from "../config/terminal.ts";
import { ratesBetween } from "../observe/rates.ts";
import type { StatusModel } from "../observe/status.ts";
import { topText } from "../observe/top-text.ts";
import { sleep } from "../runtime/clock.ts";
import { askStatus, instanceOption } from "./daemon-client.ts";
import { put } from "./output.ts";
import { wholeNumber } from "./whole-number.ts";

interface Options {
  instance: string;
  interval: number;
  count?: number;
  json?: boolean;
}

// The other screen without a cursor, and back; the top left corner; the rest of a line, and of the screen, is blank.
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/** Draws over the last picture, so that nothing flickers. */
const drawn = (text: string): string => `${HOME}${text.replaceAll("\n", `${CLEAR_LINE}\n`)}${CLEAR_LINE}${CLEAR_BELOW}`;

/** Takes the terminal until the process ends: `q` and the usual signals end it, and give the terminal back. */
function takeTerminal(): void {
  const { stdin, stdout } = process;
  stdout.write(ENTER);
  process.on("exit", () => stdout.write(LEAVE));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(0));
  if (!stdin.isTTY) return;
  stdin.setRawMode(true);
  process.on("exit", () => stdin.setRawMode(false));
  stdin.on("data", (keys) => {
    if (/[q\u0003\u0004]/.test(keys.toString())) process.exit(0);
  });
}

/** As large as the terminal, when it is drawn on one that shows nothing else. */
function picture(then: StatusModel, now: StatusModel, live: boolean): string {
  const { stdout } = process;
  // A terminal that knows no size says 0.
  const width = stdout.columns || Number.POSITIVE_INFINITY;
  const height = live && stdout.rows ? stdout.rows : Number.POSITIVE_INFINITY;
  return topText(then, now, { color: wantsColor(stdout), width, height });
}

async function top({ instance, interval, count, json = false }: Options): Promise<void> {
  const { stdout } = process;
  const live = stdout.isTTY === true && count === undefined && !json;
  let then = await askStatus(instance);
  if (live) takeTerminal();
  for (let k = 0; live || k < (count ?? 1); k++) {
    await sleep(interval * 1000);
    const now = await askStatus(instance);
    if (json)
      await put(`${JSON.stringify({ schema: "sluice.top/v1", at: now.at, rates: ratesBetween(then, now).flat() })}\n`);
    else await put(live ? drawn(picture(then, now, live)) : `${k > 0 ? "\n" : ""}${picture(then, now, live)}\n`);
    then = now;
  }
  process.exit(0);
}

export function registerTop(program: Command): void {
  program
    .command("top")
    .description("watch what each service and backend does a second, the busiest first; q ends it")
    .option("--interval <seconds>", "between two looks", wholeNumber(1, 3600), 1)
    .option("--json", "a line for each look: what each does a second (sluice.top/v1)")
    .option(
      "--count <n>",
      "print so many looks and end; 1 with --json, and where the output is no terminal",
      wholeNumber(1, 1_000_000),
    )
    .option(...instanceOption)
    .action(top);
}
