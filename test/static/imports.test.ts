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

test("maps and constants of C say what they are for", () => {
  const silent = (text: string): string[] => breaches("src/dataplane/bpf/a.h", text);
  const at = (line: number) => [expect.stringContaining(`a.h:${line}: say what`)];
  const hash = 'struct {\n\t__uint(type, BPF_MAP_TYPE_HASH);\n} b SEC(".maps");\n';
  expect(silent(`/* Bytes. */\n#define A 1\n#define B 2 /* s */\n/* By number. */\n${hash}`)).toEqual([]);
  expect(silent("#define A 1\n")).toEqual(at(1));
  // One before a run of constants is for all of them, but a map has one of its own.
  expect(silent("/* Bits. */\n#define A 1\n#define B 2\n\n#define C 3\n")).toEqual(at(5));
  expect(silent("/* By number. */\nARRAY(a, __u32, 1, 0);\nARRAY(b, __u32, 1, 0);\n")).toEqual(at(3));
  expect(silent(hash)).toEqual(at(3));
  expect(silent('struct control control SEC(".data.words") = {};\n')).toEqual(at(1));
  expect(silent("enum sluice_limit {\n\t/* bytes */\n\tA = 1,\n\tB = 2,\n};\n")).toEqual(at(4));
});

test("a file stands in a room", () => {
  expect(breaches("src/attic/a.ts", "")).toHaveLength(1);
});
