import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Problem } from "../core/problem.ts";
import { annotations, diagnose, problemsJson } from "./diagnose.ts";
import { firstSnapshot } from "./first-snapshot.ts";
import { type Loaded, parseConfig } from "./parse.ts";
import { planChange } from "./plan.ts";
import { jsonSchema } from "./schema.ts";
import { testCatalog } from "./test-catalog.ts";
import { toWritten } from "./written.ts";

const small = `version: 1
services:
  shop:
    method: proxy
    listen: [125.12.12.12:80]
    names: [shop.example.com]
    backends: [10.0.1.210:8000, { address: 10.0.1.211:8000, weight: 2 }]
    check: { http: /healthz, interval: 2s, rise: 2, fall: 3 }
`;
const load = (text: string): Loaded => parseConfig("sluice.yaml", text, testCatalog);
const config = (text: string) => {
  const loaded = load(text);
  if (!loaded.ok) throw new Error(diagnose(loaded.problems, loaded.source, { color: false, state: "" }));
  return loaded.value;
};
const brief = (problems: readonly Problem[]): string[] =>
  problems.map((p) => `${p.place!.line}:${p.place!.column}-${p.place!.endColumn} ${p.path.join(".")} ${p.code}`);

describe("a configuration", () => {
  test("of eight lines is filled with every default", () => {
    const [shop] = config(small).services;
    expect(shop).toEqual({
      name: "shop",
      method: "proxy",
      listen: [{ address: "125.12.12.12", port: 80, protocol: "tcp" }],
      names: ["shop.example.com"],
      scheduler: { name: "round-robin", options: {} },
      backends: [
        { address: "10.0.1.210", port: 8000, weight: 1, tier: 0, tags: [], admin: "ready" },
        { address: "10.0.1.211", port: 8000, weight: 2, tier: 0, tags: [], admin: "ready" },
      ],
      check: {
        kind: "http",
        options: { path: "/healthz", status: 200 },
        interval: 2000,
        timeout: 800,
        rise: 2,
        fall: 3,
      },
      nearest: false,
      options: { timeouts: { connect: 5000 } },
    });
  });

  test("loads to the same from its adapted form", () => {
    const loaded = load(`${small}    proxy: { timeouts: { connect: 7s } }\n    nat: { engine: xdp }\n`);
    if (!loaded.ok) throw new Error("refused");
    const written = JSON.stringify(toWritten(loaded.value, loaded.raw, testCatalog), null, 2);
    expect(written).toContain('"connect": "7s"');
    expect(written).toContain('"engine": "xdp"');
    expect(config(written)).toEqual(loaded.value);
  });

  test("checks by tcp unless told otherwise, and by nothing where only UDP arrives", () => {
    const without = small.replace(/ {4}check.*\n/, "");
    expect(config(without).services[0]!.check?.kind).toBe("tcp");
    expect(config(`${without}    check: none\n`).services[0]!.check).toBeNull();
    const udp = without.replace("proxy", "nat").replace(":80]", ":80/udp]");
    expect(config(udp).services[0]!.check).toBeNull();
  });

  test("may name options of a scheduler, and only of one", () => {
    expect(config(`${small}    scheduler: { maglev: { slots: 251 } }\n`).services[0]!.scheduler).toEqual({
      name: "maglev",
      options: { slots: 251 },
    });
    const two = load(`${small}    scheduler: { maglev: {}, round-robin: {} }\n`);
    expect(brief(two.problems)).toEqual(["9:5-14 services.shop.scheduler SLUICE_CONFIG_VALUE"]);
  });
});

describe("problems", () => {
  test("are all told, by position, also of services beside one that is malformed", () => {
    const loaded = load(`version: 1
services:
  a: { method: prxy, listen: ["10.0.0.1:80"], backends: [] }
  b: { method: direct, listen: ["10.0.0.1:80"], backends: ["10.0.0.2:81"] }
  c: { method: direct, listen: ["10.0.0.1:80"], backends: ["10.0.0.2"], metho: x }
`);
    expect(brief(loaded.problems)).toEqual([
      "3:16-20 services.a.method SLUICE_CONFIG_VALUE",
      "4:60-73 services.b.backends.0.port SLUICE_CONFIG_IMPOSSIBLE",
      "5:73-78 services.c.metho SLUICE_CONFIG_KEY",
    ]);
  });

  test("of equal keys name both places", () => {
    const [problem] = load(`${small}  shop: {}\n`).problems;
    expect(problem).toMatchObject({
      code: "SLUICE_CONFIG_DUPLICATE",
      place: { line: 9 },
      also: [{ place: { line: 3 } }],
    });
  });

  test("of a misspelt key are not told as a missing one too", () => {
    expect(brief(load(small.replace("method:", "metod:")).problems)).toEqual([
      "4:5-10 services.shop.metod SLUICE_CONFIG_KEY",
    ]);
  });

  test("have a plain form, and one for GitHub", () => {
    const { problems } = load(small.replace("proxy", "prxy"));
    expect(problemsJson(problems, "sluice.yaml")[0]).toMatchObject({
      file: "sluice.yaml",
      line: 4,
      column: 13,
      endColumn: 17,
      path: "services.shop.method",
      closest: "proxy",
      valid: ["proxy", "dns", "nat", "direct"],
    });
    expect(annotations(problems, "sluice.yaml")).toStartWith(
      "::error file=sluice.yaml,line=4,col=13,endColumn=17,title=",
    );
  });

  test("cannot write to the terminal by what the file holds", () => {
    const loaded = load('version: 1\nservices: { "a\u001b[2J": "\\e[31m\u202e" }\n');
    const text = diagnose(loaded.problems, loaded.source, { color: false, state: "" });
    expect(text.replace(/[\n\t\u0020-\u007e\u00b7—…]/g, "")).toBe("");
  });

  test("point at a piece of a very long line", () => {
    const loaded = load(`{"version": 1, "services": {${'"a": {},'.repeat(2000)} "zz": 1}}`);
    const text = diagnose(loaded.problems.slice(0, 3), loaded.source, { color: false, state: "" });
    for (const line of text.split("\n")) expect(line.length).toBeLessThan(400);
  });
});

describe("hostile files", () => {
  const bomb = `a: &a [1,1,1,1,1,1,1,1,1,1]\n${[..."bcdefghij"]
    .map((c, i) => `${c}: &${c} [${Array(10).fill(`*${"abcdefghij"[i]}`).join(",")}]\n`)
    .join("")}`;
  const cases: Record<string, string> = {
    nothing: "",
    "an alias bomb": bomb,
    "an alias to itself": "version: 1\nservices: &a { x: *a }\n",
    "deep brackets": "[".repeat(100_000),
    "deep mappings": "{a: ".repeat(50_000),
    "deep block sequences": `${"- ".repeat(20_000)}x`,
    "deep indentation": Array.from({ length: 3000 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
    "a prototype": '{"version":1,"services":{"__proto__":{"method":"proxy"}},"__proto__":{"x":1},"constructor":1}',
    "a tag": "version: !!js/function 1\nservices: !foo {}\n",
    "a directive": "%YAML 1.1\n---\nversion: yes\n<<: {a: 1}\n",
    "two documents": "version: 1\n---\nversion: 1\n",
    "keys that are no text": "? [a]\n: 1\n? {b: 1}\n: 2\n",
    "NUL and friends": "version: 1\u0000\n\u0085services\u2028: \ufeff{}\n",
    "many lines": "a:\n".repeat(50_000),
    "many errors": 'x: "\n'.repeat(5000),
  };
  for (const [name, text] of Object.entries(cases))
    test(`are refused with a place: ${name}`, () => {
      const loaded = load(text);
      expect(loaded.ok).toBe(false);
      expectPlaces(loaded, text);
    });

  test("never throw, always end, always point inside (mutated bytes)", () => {
    const bytes = new TextEncoder().encode(
      `${small}    scheduler: { maglev: { slots: 251 } }\ndns: { listen: [a] } # x\n`,
    );
    const edit = fc.record({
      at: fc.nat(bytes.length),
      remove: fc.nat(6),
      insert: fc.oneof(
        fc.constantFrom("&a ", "*a", "\n", "  ", ": ", "- ", "'", '"', "{", "]", "!!x ", "\t", "#", "|\n", "? "),
        fc.string(),
      ),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let text = Buffer.from(bytes).toString("latin1");
        for (const { at, remove, insert } of edits) text = text.slice(0, at) + insert + text.slice(at + remove);
        const loaded = load(text);
        expectPlaces(loaded, text);
        diagnose(loaded.problems, loaded.source, { color: true, state: "" });
      }),
      { numRuns: 1000 },
    );
  });
});

function expectPlaces(loaded: Loaded, text: string): void {
  const lines = text.split("\n");
  if (!loaded.ok) expect(loaded.problems.length).toBeGreaterThan(0);
  for (const { place } of loaded.problems) {
    expect(place!.line).toBeGreaterThanOrEqual(1);
    expect(place!.line).toBeLessThanOrEqual(lines.length);
    expect(place!.column).toBeLessThanOrEqual(lines[place!.line - 1]!.length + 1);
    expect(place!.endColumn).toBeGreaterThan(place!.column);
    expect(place!.endColumn).toBeLessThanOrEqual(Math.max(lines[place!.line - 1]!.length + 1, place!.column + 1));
  }
}

describe("a plan", () => {
  const before = config(small);
  const kinds = (text: string) => {
    const plan = planChange(before, config(text), testCatalog);
    const services = plan.services.map((s) => ("kind" in s ? `${s.change} ${s.kind}: ${s.what.join("; ")}` : s.change));
    return { ...plan, services };
  };

  test("is empty between equals", () => expect(kinds(small).empty).toBe(true));

  test("takes weights, states and backends as a snapshot", () => {
    const { services, newGeneration } = kinds(
      small.replace("weight: 2", "weight: 3").replace("[10.0.1.210:8000,", "[10.0.1.212:8000,"),
    );
    expect(services).toEqual([
      "changed snapshot: backend 10.0.1.212:8000 added; backend 10.0.1.211:8000 weight 2 -> 3; backend 10.0.1.210:8000 removed",
    ]);
    expect(newGeneration).toBe(false);
  });

  test("takes a listener as a new generation, a kernel method as the kernel's", () => {
    expect(kinds(small.replace(":80]", ":81]")).services).toEqual(["changed generation: listen"]);
    const nat = small.replace("proxy", "nat");
    expect(planChange(config(nat), config(nat.replace(":80]", ":81]")), testCatalog)).toMatchObject({
      services: [{ change: "changed", kind: "kernel" }],
      newGeneration: false,
    });
  });

  test("tells added and removed services and shared keys", () => {
    const { services, shared } = kinds(`${small.replace("shop:", "store:")}drain: 10s\n`);
    expect(services).toEqual(["added generation: method proxy", "removed generation: method proxy"]);
    expect(shared).toEqual(["drain"]);
  });
});

test("the first snapshot takes ready backends as good", () => {
  const text = small.replace("weight: 2", "state: drain");
  expect(firstSnapshot(config(text).services[0]!)).toMatchObject({
    eligible: [0],
    backends: [{ state: "unchecked" }, { state: "draining" }],
  });
});

test("the JSON Schema shows short forms, defaults and words", () => {
  const schema = jsonSchema(testCatalog) as {
    properties: Record<string, { additionalProperties: { properties: Record<string, unknown> } }>;
  };
  const { method, check } = schema.properties.services!.additionalProperties.properties;
  expect(method).toMatchObject({ enum: ["proxy", "dns", "nat", "direct"] });
  expect(JSON.stringify(check)).toContain('"anyOf":[{"type":"string"},{"type":"object"');
  expect(JSON.stringify(schema)).toContain('"default":"30s"');
});
