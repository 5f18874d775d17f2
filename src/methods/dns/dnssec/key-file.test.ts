import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeKey, withKeys } from "./key-file.ts";
import { firstKeys } from "./key-states.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-keys-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const make = () => withKeys(folder, "example.com", () => firstKeys(1, makeKey));
const path = (name: string): string => join(folder, name);

test("a link that lies where keys are written first is not followed", () => {
  writeFileSync(path("target"), "untouched");
  symlinkSync(path("target"), path("example.com.json.new"));
  make();
  expect(readFileSync(path("target"), "utf8")).toBe("untouched");
  expect(statSync(path("example.com.json")).mode & 0o777).toBe(0o600);
});

test("what a daemon that died has left there, readable by all, is not written into", () => {
  writeFileSync(path("example.com.json.new"), "torn", { mode: 0o644 });
  const left = openSync(path("example.com.json.new"), "r");
  make();
  expect(readFileSync(left, "utf8")).toBe("torn");
  closeSync(left);
  expect(statSync(path("example.com.json")).mode & 0o777).toBe(0o600);
  expect(withKeys(folder, "example.com", () => null)).toHaveLength(2);
});

test("a folder that others may write to is refused", () => {
  chmodSync(folder, 0o777);
  expect(make).toThrow("others may write to");
  chmodSync(folder, 0o755);
  expect(make()).toHaveLength(2);
});
