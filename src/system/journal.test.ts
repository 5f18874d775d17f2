import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runSync } from "../runtime/child.ts";
import { Journal } from "./journal.ts";

const root = process.getuid?.() === 0;
if (!root) console.log("skipped: the journal on a full disk: only root may mount one");

describe.skipIf(!root)("the journal on a full disk", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-full-"));
    const mounted = runSync(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder]);
    if (mounted.code !== 0) throw new Error(mounted.stderr);
  });
  afterAll(() => {
    runSync(["umount", folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  test("refuses the change, and what it knew before can still be read", () => {
    const path = join(folder, "journal.json");
    const entry = (key: string) => ({
      change: { kind: "sysctl", key, value: "1" } as const,
      before: "0",
      owners: ["a"],
    });
    const journal = new Journal(path);
    journal.add([entry("net.ipv4.ip_forward")]);
    expect(() => journal.add(Array.from({ length: 500 }, (_, i) => entry(`net.ipv4.${i}`)))).toThrow("ENOSPC");
    expect(new Journal(path).entries).toEqual([entry("net.ipv4.ip_forward")]);
  });
});
