import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { codes } from "../core/codes.ts";
import { runSync } from "../runtime/child.ts";
import { ensureBuilt, generatedText, views } from "./build.ts";
import * as layout from "./generated/layout.ts";

const missing = ["clang", "bpftool"].find((program) => runSync(["which", program]).code !== 0);
if (missing) console.log(`skipped: build of the kernel programs: ${missing} is not installed`);

describe("the TypeScript view of the kernel's structs", () => {
  test.skipIf(missing !== undefined)("is what the objects' BTF gives, byte for byte", () => {
    ensureBuilt();
    for (const view of views) expect(generatedText(view)).toBe(readFileSync(view.path, "utf8"));
  });

  test("keeps a flow bucket and a backend in one cache line each, and nothing behind the slots of a table", () => {
    expect(layout.flowBucket.size).toBe(64);
    expect(layout.backend.size).toBe(64);
    const { table, Limit, Slot } = layout;
    expect(table.wide + Slot.SLOT_WIDE_BYTES * Limit.MAX_SLOTS).toBe(table.size);
  });

  test("names every drop by a code of the product", () => {
    for (const word of Object.keys(layout.Drop))
      if (word !== "DROP_REASONS") expect(Object.keys(codes)).toContain(`SLUICE_${word}`);
  });
});
