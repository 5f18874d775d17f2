import { expect, test } from "bun:test";
import { breaches } from "./imports.ts";

test("a room imports upwards only", () => {
  expect(breaches("src/core/a.ts", 'import { b } from "../config/b.ts";\n')).toHaveLength(1);
  expect(breaches("src/config/b.ts", 'import { a } from "../core/a.ts";\n')).toEqual([]);
  expect(breaches("src/core/a.ts", 'export type X = import("../config/b.ts").X;\n')).toHaveLength(1);
});

test("a method never imports another", () => {
  expect(breaches("src/methods/nat/a.ts", 'import { b } from "../direct/b.ts";\n')).toHaveLength(1);
  expect(breaches("src/methods/nat/a.ts", 'import { b } from "./b.ts";\n')).toEqual([]);
});

test("only the runtime room touches Bun", () => {
  expect(breaches("src/relay/a.ts", "const s = Bun.listen({});\n")).toHaveLength(1);
  expect(breaches("src/relay/a.ts", 'import { ptr } from "bun:ffi";\n')).toHaveLength(1);
  expect(breaches("src/runtime/a.ts", "const s = Bun.listen({});\n")).toEqual([]);
  expect(breaches("src/relay/a.ts", "// Bun.listen would accept itself\n")).toEqual([]);
});

test("a file has one idea, and so few lines", () => {
  expect(breaches("src/core/a.ts", "\n".repeat(401))).toHaveLength(1);
  expect(breaches("src/core/a.test.ts", "\n".repeat(401))).toEqual([]);
});

test("a function of C has so few lines", () => {
  const body = (lines: number) => `int f(void)\n{\n${"\tg();\n".repeat(lines)}}\n`;
  expect(breaches("src/dataplane/bpf/a.h", body(80))).toEqual([]);
  expect(breaches("src/dataplane/bpf/a.h", body(80) + body(81))).toEqual([expect.stringContaining("a.h:85:")]);
});

test("a file stands in a room", () => {
  expect(breaches("src/attic/a.ts", "")).toHaveLength(1);
});
