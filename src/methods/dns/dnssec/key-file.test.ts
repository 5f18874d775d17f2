import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
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
import { firstKeys, type ZoneKey } from "./key-states.ts";

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

describe("keys that nobody could validate are refused, with the reason", () => {
  const other = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
  const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();
  test.each<[why: string, change: (keys: ZoneKey[]) => ZoneKey[]]>([
    [
      "is of algorithm 14: zones are signed with",
      ([ksk, zsk]) => [ksk!, { ...zsk!, dnskey: `0100030e${"00".repeat(96)}` }],
    ],
    ["is another one than", ([ksk, zsk]) => [ksk!, { ...zsk!, privateKey: ksk!.privateKey }]],
    ["is another one than", ([ksk, zsk]) => [ksk!, { ...zsk!, privateKey: pem(other) }]],
    ["is another one than", ([ksk, zsk]) => [ksk!, { ...zsk!, tag: zsk!.tag ^ 1 }]],
    ["has no ZSK that is active", ([ksk, zsk]) => [ksk!, { ...zsk!, state: "published" }]],
    ["has no KSK that is active", () => []],
  ])("%s", (why, change) => {
    const keys = make();
    withKeys(folder, "example.com", () => change(keys));
    expect(() => withKeys(folder, "example.com", () => null)).toThrow(why);
  });
});

test("a folder that others may write to is refused", () => {
  chmodSync(folder, 0o777);
  expect(make).toThrow("others may write to");
  chmodSync(folder, 0o755);
  expect(make()).toHaveLength(2);
});
