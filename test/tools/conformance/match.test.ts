import { expect, test } from "bun:test";
import { readJunit } from "./junit.ts";
import { type Carried, carries, judgeRule, strayIds } from "./match.ts";

const rule = { id: "A.1", source: "2.2", rule: "octets" };
const ran = (name: string, result: Carried["result"] = "passed"): Carried => ({ name, file: "x.test.ts", result });

test("an id is a word of its own", () => {
  for (const name of ["A.1 octets", "octets (A.1, B.2)", "group > [A.1] octets", "x A.1"])
    expect(carries(name, "A.1")).toBe(true);
  for (const name of ["A.12 octets", "AA.1", "A.1.2", "aA.1", "A-1"]) expect(carries(name, "A.1")).toBe(false);
});

test("a rule needs a test that ran, and all of them to pass", () => {
  const result = (...tests: Carried[]) => judgeRule(rule, tests).result;
  expect(result()).toBe("no test");
  expect(result(ran("A.1", "skipped"))).toBe("no test");
  expect(result(ran("A.1"), ran("A.1 too"))).toBe("passed");
  expect(result(ran("A.1"), ran("A.1 too", "failed"))).toBe("failed");
  expect(judgeRule({ ...rule, absent: "why" }, []).result).toBe("not offered");
});

test("an id that no rule has is found", () => {
  expect(strayIds([rule], [ran("A.1 x"), ran("B.99 y"), ran("HTTP/1.1 z, e.g. 1.2")])).toEqual(["B.99"]);
});

test("a JUnit report is read: groups, entities, results", () => {
  const xml = `<testsuites><testsuite name="f"><testcase name="A.1 &quot;x&quot; &amp;lt;" classname="g" file="f.ts" time="0" />
<testcase name="b > c" file="f.ts"><failure message="no" /></testcase><testcase name="d" file="f.ts"><skipped /></testcase></testsuite></testsuites>`;
  expect(readJunit(xml)).toEqual([
    { name: 'g > A.1 "x" &lt;', file: "f.ts", result: "passed" },
    { name: "b > c", file: "f.ts", result: "failed" },
    { name: "d", file: "f.ts", result: "skipped" },
  ]);
});
