import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalog } from "../catalog.ts";
import { parseConfig } from "../config/load.ts";
import { run } from "../runtime/child.ts";
import { hostChanges } from "./check.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "sluice-check-test-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const main = join(import.meta.dirname, "main.ts");
const sluice = (...args: string[]) =>
  run([process.execPath, "--no-env-file", main, ...args], { cwd: dir, env: { GITHUB_ACTIONS: "", NO_COLOR: "1" } });

const text = `version: 1
services:
  shop: { method: proxy, listen: [127.0.0.1:8080], backends: [127.0.0.2:8000] }
  old: { method: nat, listen: [125.12.12.12:81], backends: [10.0.1.210:8000], nat: { engine: nftables } }
`;

describe("sluice check", () => {
  test("takes sluice.yaml of the folder; 0 when it is valid", async () => {
    writeFileSync(join(dir, "sluice.yaml"), text);
    expect(await sluice("check")).toEqual({
      code: 0,
      stdout: "sluice.yaml is valid: 2 services, 2 backends.\n",
      stderr: "",
    });
  });

  test("ends with 1 and tells problems, as JSON when asked", async () => {
    writeFileSync(join(dir, "bad.yaml"), text.replace("proxy", "prxy"));
    const plain = await sluice("check", "-c", "bad.yaml");
    expect(plain.code).toBe(1);
    expect(plain.stdout).toStartWith("bad.yaml:3:19  services.shop.method  error SLUICE_CONFIG_VALUE\n");
    const json = await sluice("check", "-c", "bad.yaml", "--json");
    expect(json.code).toBe(1);
    const problem = { file: "bad.yaml", line: 3, column: 19, closest: "proxy" };
    expect(JSON.parse(json.stdout)).toMatchObject({ schema: "sluice.check/v1", valid: false, problems: [problem] });
    const changes = await sluice("check", "-c", "bad.yaml", "--json", "--changes");
    expect([changes.code, JSON.parse(changes.stdout)]).toEqual([1, JSON.parse(json.stdout)]);
    const none = await sluice("check", "-c", "none.yaml");
    expect([none.code, none.stdout]).toEqual([1, expect.stringContaining("-c FILE")]);
  });

  test("ends with 2 on wrong usage", async () => {
    const answer = await sluice("check", "--jsno");
    expect(answer.code).toBe(2);
    expect(answer.stderr).toContain("--json");
  });
});

describe("sluice adapt and schema", () => {
  test("print JSON; what adapt prints is adapted to itself", async () => {
    const once = await sluice("adapt", "-c", "sluice.yaml");
    expect(once.code).toBe(0);
    writeFileSync(join(dir, "again.json"), once.stdout);
    expect((await sluice("adapt", "-c", "again.json")).stdout).toBe(once.stdout);
    expect(JSON.parse((await sluice("schema")).stdout)).toMatchObject({ required: ["version", "services"] });
  });
});

test("the changes of a configuration are sockets, and what its kernel methods ask for", () => {
  const loaded = parseConfig("sluice.yaml", text, catalog);
  if (!loaded.ok) throw new Error("refused");
  const { sockets, changes } = hostChanges(loaded.value, catalog, {
    instance: "main",
    route: () => ({ device: "eth0", source: "10.0.1.50", via: null }),
    deviceOf: () => "eth0",
  });
  expect(sockets).toEqual(["127.0.0.1:8080"]);
  expect(changes.map((c) => c.change.kind)).toContain("nft-table");
  expect(new Set(changes.map((c) => c.text)).size).toBe(changes.length);
});
