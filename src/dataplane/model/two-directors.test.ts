import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { patience } from "../testing/patience.ts";
import { type Chance, type Found, search } from "./two-directors.ts";

const document = readFileSync(join(import.meta.dirname, "../../../docs/two-directors.md"), "utf8");
/** Rows of the document's table, by what a packet names. */
const rows: Record<Chance, string> = {
  none: "nothing",
  history: "what the slot was since it last settled",
  preference: "the slot's own order of all backends, three of them, settled or not",
};
/** As the table says it. The last step is the packet that finds no socket. */
const cell = ({ worlds, counterExample }: Found): string =>
  counterExample
    ? `breaks after ${counterExample.length} steps`
    : `none of ${new Intl.NumberFormat("en").format(worlds)} worlds`;

describe("two directors", () => {
  for (const chance of Object.keys(rows) as Chance[])
    test(
      `of up to four changes, where packets name ${rows[chance]}, the document says what there is`,
      () => {
        const [atOnce, late] = [false, true].map((late) => search({ chance, changes: 4, late })) as [Found, Found];
        expect(document).toContain(`| ${rows[chance]} | ${cell(atOnce)} | ${cell(late)} |`);
        for (const { counterExample } of [atOnce, late]) expect(counterExample === null).toBe(chance === "preference");
      },
      patience(60_000),
    );

  test("without a second chance a connection breaks after one change that only one has heard of", () => {
    const { counterExample } = search({ chance: "none", changes: 4, late: true });
    expect(counterExample).toEqual([
      "backend 0 goes",
      "A hears of it",
      "the flow begins at A, on backend 1",
      "a packet by B goes to backend 0",
    ]);
    expect(document).toContain(`\`\`\`\n${counterExample!.join("\n")}\n\`\`\``);
  });

  test("nothing breaks while nothing changes", () => {
    expect(search({ chance: "none", changes: 0, late: true }).counterExample).toBeNull();
  });
});
