/**
 * Golden files: a configuration, a line of dashes, and the whole text that `sluice check` says of it. Adding a case is
 * adding a file; UPDATE_GOLDEN=1 writes what is said now.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { catalog } from "../catalog.ts";
import { parseConfig } from "./parse.ts";
import { checkReport } from "./report.ts";
import { toWritten } from "./written.ts";

const folder = join(import.meta.dirname, "../../test/golden/config");
const dashes = "\n----------\n";

describe("golden configurations", () => {
  const names = readdirSync(folder).filter((name) => name.endsWith(".golden"));

  test("are at least forty", () => expect(names.length).toBeGreaterThanOrEqual(40));

  for (const name of names)
    test(name.replace(".golden", "").replaceAll("-", " "), () => {
      const path = join(folder, name);
      const [config = "", expected = ""] = readFileSync(path, "utf8").split(dashes);
      const loaded = parseConfig("sluice.yaml", `${config}\n`, catalog);
      const said = checkReport(loaded, { json: false, color: false, github: false });
      if (process.env.UPDATE_GOLDEN) writeFileSync(path, `${config}${dashes}${said}`);
      else expect(said).toBe(expected);
      if (!loaded.ok) return;
      // What `sluice adapt` prints loads to the same.
      const again = parseConfig("sluice.yaml", JSON.stringify(toWritten(loaded.value, loaded.raw, catalog)), catalog);
      expect(again.ok && again.value).toEqual(loaded.value);
    });
});
