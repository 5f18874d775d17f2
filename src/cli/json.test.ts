import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { createApi, type Daemon } from "../admin/api.ts";
import { ok, type Problem } from "../core/problem.ts";
import { run } from "../runtime/child.ts";
import { type ApiServer, serveUnix } from "../runtime/http.ts";
import { instancePaths } from "../system/instance.ts";
import { registerCommands } from "./commands.ts";

const { adminSocket, runDir, name: instance } = instancePaths(`json-${process.pid}`);
const folder = mkdtempSync(join(tmpdir(), "sluice-json-"));
const asked: unknown[] = [];
let server: ApiServer;
const outcome = (problems: Problem[]) => ({ revision: 7, problems, text: "said\n" });

beforeAll(() => {
  mkdirSync(runDir, { recursive: true });
  const daemon: Partial<Daemon> = {
    command: (...said) => {
      asked.push(said);
      return ["web/10.0.0.1:80"];
    },
    commandTag: () => [],
    reload: async () => outcome([]),
    rollback: async (to) => {
      asked.push(to);
      return ok(outcome([{ code: "X" } as unknown as Problem]));
    },
    setRole: async (role) => void asked.push(role),
  };
  const api = createApi(daemon as Daemon);
  server = serveUnix(adminSocket, (request) => api.fetch(request));
});
afterAll(() => {
  server.stop();
  for (const made of [runDir, folder]) rmSync(made, { recursive: true });
});

const sluice = async (...words: string[]) => {
  const { code, stdout } = await run([process.execPath, join(import.meta.dirname, "main.ts"), ...words, "--json"]);
  return [code, stdout === "" ? null : JSON.parse(stdout)];
};

/** What prints nothing, or what is not ours to shape. */
const otherwise = ["run", "metrics", "schema", "adapt", "completion", "man", "exec", "help"];

test("every command that prints can do so as JSON, and says of which versioned shape", async () => {
  const program = new Command("sluice");
  await registerCommands(program);
  const all = (command: Command): Command[] =>
    command.commands.length === 0 ? [command] : command.commands.flatMap((inner) => all(inner));
  const shape = ({ options }: Command) => options.find(({ long }) => long === "--json")?.description;
  const without = all(program).filter((command) => !/sluice\.[a-z-]+\/v1/.test(shape(command) ?? ""));
  expect(without.map((command) => command.name()).filter((name) => !otherwise.includes(name))).toEqual([]);
});

test("reload and rollback print what came of a revision", async () => {
  const shape = { schema: "sluice.revision/v1", revision: 7, text: "said\n" };
  expect(await sluice("reload", "--instance", instance)).toEqual([0, { ...shape, problems: [] }]);
  expect(await sluice("rollback", "3", "--instance", instance)).toEqual([1, { ...shape, problems: [{ code: "X" }] }]);
  expect(asked.at(-1)).toBe(3);
});

test("set says which backends it meant", async () => {
  const words = ["set", "backend", "web/10.0.0.1:80", "state", "drain", "for", "30m", "--instance", instance];
  const wish = { admin: "drain", for: 1_800_000 };
  expect(await sluice(...words)).toEqual([
    0,
    { schema: "sluice.set/v1", backends: ["web/10.0.0.1:80"], state: "drain", weight: null, for: 1_800_000 },
  ]);
  expect(asked.at(-1)).toEqual(["web", "10.0.0.1:80", wish]);
  expect(await sluice("set", "tag", "none", "weight", "1", "--instance", instance)).toEqual([2, null]);
});

test("promote and demote say the role", async () => {
  for (const [verb, role] of [
    ["promote", "active"],
    ["demote", "standby"],
  ] as const) {
    expect(await sluice(verb, "--instance", instance)).toEqual([0, { schema: "sluice.role/v1", instance, role }]);
    expect(asked.at(-1)).toBe(role);
  }
});

test("dnssec says keys and DS records as data, and why not", async () => {
  const file = join(folder, "sluice.yaml");
  const service = { method: "dns", names: ["www.example.com"], backends: ["10.0.0.1"] };
  const dns = { listen: ["127.0.0.1:5353"], zones: { "example.com": {} }, dnssec: { keys: join(folder, "keys") } };
  writeFileSync(file, JSON.stringify({ version: 1, services: { www: service }, dns }));
  const dnssec = (...words: string[]) => sluice("dnssec", ...words, "-c", file);
  const made = { zone: "example.com", text: "keys are made" };
  expect(await dnssec("keys")).toEqual([0, { schema: "sluice.dnssec/v1", said: [made], problems: [] }]);
  const key = (role: string) => ({ key: expect.objectContaining({ role, state: "active", due: null }) });
  const [, { said: keys }] = await dnssec("status");
  expect(keys).toEqual([expect.objectContaining(key("ksk")), expect.objectContaining(key("zsk"))]);
  const [, { said }] = await dnssec("ds", "example.com");
  expect(said[0].ds).toEqual({ tag: keys[0].key.tag, algorithm: 13, digestType: 2, digest: expect.any(String) });
  const [code, { problems }] = await dnssec("ds", "example.org");
  expect([code, problems[0].message]).toEqual([1, '"example.org" is no signed zone.']);
});
