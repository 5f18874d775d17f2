import { expect, test } from "bun:test";
import fc from "fast-check";
import { PatternSet } from "./pattern-set.ts";
import { type Pattern, parsePattern } from "./syntax.ts";

const made = (...texts: string[]): PatternSet => new PatternSet(texts.map((text) => parsePattern(text) as Pattern));

test("whole paths, all patterns at once", () => {
  const set = made("/img/[^/]+\\.(png|jpe?g)", "/img/.*", "/v\\d{1,2}/.*", "/a(b|c)*d?");
  const found = ["/img/a.png", "/img/a.jpg", "/img/a/b.png", "/v12/x", "/v123/x", "/abcbd", "/abcbdd", "/", ""].map(
    (p) => set.find(p).join(),
  );
  expect(found).toEqual(["0,1", "0,1", "1", "2", "", "3", "", "", ""]);
});

test("what is no pattern is told in a sentence", () => {
  const refused = ["(", ")", "[a", "a**", "+a", "^/a", "/a$", "(?=a)", "\\1", "a{2,1}", "a{", "[z-a]", "", "é", "a\\"];
  for (const text of refused) expect([text, typeof parsePattern(text)]).toEqual([text, "string"]);
  expect(parsePattern("((a{99}){99}){99}")).toContain("more than 2000 parts");
});

/** Patterns of the grammar, as text that JavaScript reads too. */
const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom("a", "b", ".", "[ab]", "[^a]", "\\d", "\\.", "/"),
    fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => a + b),
    fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => `(${a}|${b})`),
    fc.tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2}", "{1,2}", "{0,}")).map(([a, how]) => `(${a})${how}`),
  ),
}));
const paths = fc.string({ unit: fc.constantFrom("a", "b", "7", ".", "/"), maxLength: 8 });

test("any patterns, any path: as a backtracking engine says", () => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 4 }), fc.array(paths, { maxLength: 5 }), (texts, asked) => {
      const short = texts.filter((text) => text.length < 60 && typeof parsePattern(text) !== "string");
      const set = made(...short);
      for (const path of asked)
        expect(set.find(path)).toEqual(
          short.flatMap((text, i) => (new RegExp(`^(?:${text})$`, "s").test(path) ? [i] : [])),
        );
    }),
    { numRuns: 1000 },
  );
});

test("a hostile path costs a step an octet where backtracking would never end, and states stay bounded", () => {
  const set = made("/(a*)*b", "/(a|aa)+$".slice(0, -1), "/(x+x+)+y");
  const began = performance.now();
  for (let i = 0; i < 200; i++) {
    set.find(`/${"a".repeat(8000)}c`);
    set.find(`/${"x".repeat(8000)}`);
  }
  // Backtracking takes 2^8000 steps; this limit is only there so that it would be seen.
  expect(performance.now() - began).toBeLessThan(30_000);
  // Exponentially many states: each path meets thousands that were never met before.
  const wide = made("/.*a.{14}");
  let seed = 7;
  for (let i = 0; i < 20; i++) {
    let path = "/";
    for (let k = 0; k < 8000; k++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      path += (seed >>> 31) & 1 ? "a" : "b";
    }
    expect(wide.find(path).length).toBe(path.at(-15) === "a" ? 1 : 0);
    expect(wide.size).toBeLessThanOrEqual(4097);
  }
});
