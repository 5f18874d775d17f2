import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { run } from "../runtime/child.ts";

const program = join(import.meta.dirname, "main.ts");

/** A name becomes part of paths that `down` removes: one that leads elsewhere must never get that far. */
test("an instance's name that is a path is wrong usage, and nothing there is touched", async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), "sluice-elsewhere-"));
  for (const name of [relative("/run/sluice", elsewhere), "..", "", "labs", "a".repeat(64)]) {
    const { code, stderr } = await run([process.execPath, program, "down", `--instance=${name}`]);
    expect([name, code, stderr]).toEqual([name, 2, expect.stringContaining("letters, digits and dashes")]);
  }
  expect(existsSync(elsewhere)).toBe(true);
  rmSync(elsewhere, { recursive: true });
});
