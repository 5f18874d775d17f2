import { expect, test } from "bun:test";
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Instance, instancePaths, takeInstance } from "./instance.ts";

const below = (base: string): Instance => {
  const runDir = join(base, "sluice", "main");
  return { ...instancePaths("main"), runDir, lockFile: join(runDir, "lock") };
};
const codeOf = (instance: Instance): string | null => {
  const taken = takeInstance(instance);
  if (!taken.ok) return taken.problems[0]!.code;
  taken.value.release();
  return null;
};

test.skipIf(process.getuid?.() !== 0)("a folder that somebody else made first is not written to", () => {
  const base = mkdtempSync(join(tmpdir(), "sluice-instance-test-"));
  const instance = below(base);
  mkdirSync(instance.runDir, { recursive: true });
  const victim = join(base, "victim");
  writeFileSync(victim, "keep me");
  symlinkSync(victim, instance.lockFile);
  chownSync(base, 12_345, 12_345);
  expect(codeOf(instance)).toBe("SLUICE_PRIVILEGE");
  expect(lstatSync(victim).size).toBe("keep me".length);
  rmSync(base, { recursive: true });
});

test("a folder that cannot be made is said, and one of our own is taken", () => {
  const base = mkdtempSync(join(tmpdir(), "sluice-instance-test-"));
  writeFileSync(join(base, "file"), "");
  expect(codeOf(below(join(base, "file")))).toBe("SLUICE_PRIVILEGE");
  expect(codeOf(below(join(base, "fresh")))).toBeNull();
  rmSync(base, { recursive: true });
});

test("nobody else can hold the lock, and so keep a daemon out", () => {
  const base = mkdtempSync(join(tmpdir(), "sluice-instance-test-"));
  const instance = below(base);
  const mode = (): number => lstatSync(instance.lockFile).mode & 0o777;
  expect(codeOf(instance)).toBeNull();
  expect(mode()).toBe(0o600);
  chmodSync(instance.lockFile, 0o644);
  expect(codeOf(instance)).toBeNull();
  expect(mode()).toBe(0o600);
  rmSync(base, { recursive: true });
});
