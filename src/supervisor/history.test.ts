import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { instancePaths } from "../system/instance.ts";
import { History, type Kept } from "./history.ts";

const runDir = mkdtempSync("/tmp/sluice-history-");
afterAll(() => rmSync(runDir, { recursive: true }));

const history = new History({ ...instancePaths("history"), runDir });
const kept = (number: number, bundle: string | null = null): Kept => ({
  number,
  as: number,
  at: 1,
  raw: { number },
  bundle,
});

test("the last ten are kept, with their bundles and nothing else, and only the owner reads them", () => {
  expect(history.numbers()).toEqual([]);
  mkdirSync(history.directory);
  const bundle = (name: string): string => {
    const path = join(history.directory, name);
    writeFileSync(path, "");
    return path;
  };
  const bundles = (): string[] => readdirSync(history.directory).filter((name) => name.endsWith(".js"));
  history.keep(kept(1, bundle("config-old.js")));
  for (let number = 2; number <= 10; number++) history.keep(kept(number));
  expect(bundles()).toEqual(["config-old.js"]);
  bundle("config-refused.js");
  history.keep(kept(11, bundle("config-new.js")));
  expect(history.numbers()).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(bundles()).toEqual(["config-new.js"]);
  expect(history.read(11)).toEqual(kept(11, join(history.directory, "config-new.js")));
  expect(statSync(join(history.directory, "11.json")).mode & 0o777).toBe(0o600);
});

test("what is torn or gone is no revision", () => {
  writeFileSync(join(history.directory, "5.json"), '{"number":5,');
  expect([history.read(5), history.read(99)]).toEqual([null, null]);
  history.keep(kept(12));
  expect(history.numbers()).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
});

test("the next daemon of the instance keeps the bundles that earlier revisions name", () => {
  new History({ ...instancePaths("history"), runDir }).keep(kept(13));
  expect(readdirSync(history.directory)).toContain("config-new.js");
});
