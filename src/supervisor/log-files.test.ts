import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Service } from "../core/service.ts";
import { NOBODY } from "../runtime/privileges.ts";
import { prepareLogFiles } from "./log-files.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-log-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const prepare = (file: string) =>
  prepareLogFiles([{ name: "web", method: "proxy", options: { accessLog: { file, format: "json" } } } as Service]);
const owner = (file: string): number => statSync(file).uid;
const root = process.getuid?.() === 0;

test("a file that cannot be made is a problem of its key", () => {
  expect(prepare(at("no/such/folder.log"))).toMatchObject([
    { code: "SLUICE_CONFIG_VALUE", path: ["services", "web", "proxy", "accessLog", "file"] },
  ]);
});

test.skipIf(!root)("workers without rights get a new file, and a FIFO that nobody reads yet", () => {
  Bun.spawnSync(["mkfifo", at("fifo")]);
  for (const name of ["new.log", "fifo"]) {
    expect(prepare(at(name))).toEqual([]);
    expect(owner(at(name))).toBe(NOBODY);
  }
  expect(statSync(at("new.log")).mode & 0o777).toBe(0o640);
});

test.skipIf(!root)("what holds something keeps its owner, and so does a device, which all programs share", () => {
  writeFileSync(at("old.log"), "line\n");
  expect(Bun.spawnSync(["mknod", at("null"), "c", "1", "3"]).exitCode).toBe(0);
  for (const name of ["old.log", "null"]) {
    expect(prepare(at(name))).toEqual([]);
    expect(owner(at(name))).toBe(0);
  }
});
