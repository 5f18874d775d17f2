import type { Command } from "commander";

type Register = (program: Command) => void;

/** Every command of the product by the words that call it, one file each. Adding one is adding a line. */
const commands: Readonly<Record<string, () => Promise<Register>>> = {
  run: async () => (await import("./run.ts")).registerRun,
  reload: async () => (await import("./reload.ts")).registerReload,
  rollback: async () => (await import("./rollback.ts")).registerRollback,
  upgrade: async () => (await import("./upgrade.ts")).registerUpgrade,
  status: async () => (await import("./status.ts")).registerStatus,
  services: async () => (await import("./services.ts")).registerServices,
  backends: async () => (await import("./backends.ts")).registerBackends,
  top: async () => (await import("./top.ts")).registerTop,
  metrics: async () => (await import("./metrics.ts")).registerMetrics,
  events: async () => (await import("./events.ts")).registerEvents,
  explain: async () => (await import("./explain.ts")).registerExplain,
  dnssec: async () => (await import("./dnssec.ts")).registerDnssec,
  files: async () => (await import("./files.ts")).registerFiles,
  flows: async () => (await import("./flows.ts")).registerFlows,
  trace: async () => (await import("./trace.ts")).registerTrace,
  set: async () => (await import("./set.ts")).registerSet,
  promote: async () => (await import("./role.ts")).registerRole,
  demote: async () => (await import("./role.ts")).registerRole,
  check: async () => (await import("./check.ts")).registerCheck,
  validate: async () => (await import("./check.ts")).registerCheck,
  schema: async () => (await import("./schema.ts")).registerSchema,
  adapt: async () => (await import("./adapt.ts")).registerAdapt,
  diff: async () => (await import("./diff.ts")).registerDiff,
  doctor: async () => (await import("./doctor.ts")).registerDoctor,
  down: async () => (await import("./down.ts")).registerDown,
  realserver: async () => (await import("./realserver.ts")).registerRealServer,
  lab: async () => (await import("./lab.ts")).registerLab,
  demo: async () => (await import("./demo.ts")).registerDemo,
  completion: async () => (await import("./completion.ts")).registerCompletion,
  man: async () => (await import("./man.ts")).registerMan,
};

/** They tell of all the others. */
const whole: ReadonlySet<string> = new Set(["completion", "man"]);

/**
 * Registers the command that `word` calls: what the others import is not read, which is most of the time that a command
 * takes. All of them when it calls none: help and the closest word want to know all.
 */
export async function registerCommands(program: Command, word = ""): Promise<void> {
  const one = Object.hasOwn(commands, word) && !whole.has(word) ? commands[word] : undefined;
  if (one) (await one())(program);
  else
    for (const register of new Set(await Promise.all(Object.values(commands).map((load) => load())))) register(program);
}
