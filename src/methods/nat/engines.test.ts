import { expect, test } from "bun:test";
import type { Applier } from "../../core/method.ts";
import type { Problem } from "../../core/problem.ts";
import type { NatService } from "./compile.ts";
import { type EngineName, NatEngines } from "./engines.ts";

const service = (name: string, engine: NatService["engine"]): NatService => ({
  name,
  seed: 1,
  engine,
  helper: null,
  masquerade: false,
  hairpin: false,
  vips: [],
  backends: [],
  eligible: [],
  scheduler: { name: "maglev", options: {} },
});

const problem = (code: Problem["code"]): Problem => ({
  code,
  severity: "error",
  source: "kernel",
  path: [],
  message: "no",
});

/** An engine that writes down what is asked of it. */
function scripted(name: EngineName, log: string[], refuses: Problem | null = null): Applier<NatService> {
  const names = (all: readonly NatService[]): string => all.map((s) => s.name).join("+");
  return {
    prepare: async (next) => {
      log.push(`${name} prepare ${names(next)}`);
      if (refuses) return [refuses];
      return { commit: () => void log.push(`${name} commit`), abort: async () => void log.push(`${name} abort`) };
    },
    refresh: async (changed) => void log.push(`${name} refresh ${names(changed)}`),
    counts: async () => new Map(),
    describe: () => [name],
    release: async () => {},
    remove: async () => void log.push(`${name} remove`),
  };
}

function engines(log: string[], refusals: Partial<Record<EngineName, Problem>> = {}): NatEngines {
  const make = (name: EngineName) => async () => scripted(name, log, refusals[name]);
  return new NatEngines({ xdp: make("xdp"), nftables: make("nftables") }, () => log.push("fell back"));
}

const commit = async (all: NatEngines, ...next: NatService[]): Promise<void> => {
  const prepared = await all.prepare(next);
  if (Array.isArray(prepared)) throw new Error(prepared[0]!.code);
  await prepared.commit();
};

test("each service goes to the engine it asks for, and a refresh to the one that has it", async () => {
  const log: string[] = [];
  const all = engines(log);
  await commit(all, service("a", "auto"), service("b", "nftables"), service("c", "xdp"));
  await all.refresh([service("b", "nftables")]);
  expect(log).toEqual(["nftables prepare b", "xdp prepare a+c", "nftables commit", "xdp commit", "nftables refresh b"]);
  expect(["a", "b"].map((name) => all.describe(name))).toEqual([["xdp"], ["nftables"]]);
});

test("auto falls back when xdp cannot load, and stays there", async () => {
  const log: string[] = [];
  const all = engines(log, { xdp: problem("SLUICE_BPF_ATTACH") });
  await commit(all, service("a", "auto"));
  expect(log).toEqual(["xdp prepare a", "xdp remove", "fell back", "nftables prepare a", "nftables commit"]);
  await commit(all, service("a", "auto"), service("b", "auto"));
  expect(log.slice(5)).toEqual(["nftables prepare a+b", "nftables commit"]);
});

test("xdp asked for by name is refused, not replaced", async () => {
  const log: string[] = [];
  const all = engines(log, { xdp: problem("SLUICE_BPF_LOAD") });
  const refused = await all.prepare([service("a", "auto"), service("b", "xdp")]);
  expect(Array.isArray(refused) && refused[0]!.code).toBe("SLUICE_BPF_LOAD");
});

test("a refusal that is not about the hook is no reason to fall back", async () => {
  const log: string[] = [];
  const all = engines(log, { xdp: problem("SLUICE_INTERNAL") });
  expect(Array.isArray(await all.prepare([service("a", "auto")]))).toBe(true);
  expect(log).not.toContain("fell back");
});

test("what one engine had prepared is aborted when the other refuses", async () => {
  const log: string[] = [];
  const all = engines(log, { xdp: problem("SLUICE_INTERNAL") });
  await all.prepare([service("a", "xdp"), service("b", "nftables")]);
  expect(log).toEqual(["nftables prepare b", "xdp prepare a", "xdp remove", "nftables abort"]);
});
