import type { Command } from "commander";
import { registerAdapt } from "./adapt.ts";
import { registerBackends } from "./backends.ts";
import { registerCheck } from "./check.ts";
import { registerCompletion } from "./completion.ts";
import { registerDemo } from "./demo.ts";
import { registerDiff } from "./diff.ts";
import { registerDnssec } from "./dnssec.ts";
import { registerDoctor } from "./doctor.ts";
import { registerDown } from "./down.ts";
import { registerEvents } from "./events.ts";
import { registerExplain } from "./explain.ts";
import { registerFiles } from "./files.ts";
import { registerFlows } from "./flows.ts";
import { registerLab } from "./lab.ts";
import { registerMan } from "./man.ts";
import { registerMetrics } from "./metrics.ts";
import { registerRealServer } from "./realserver.ts";
import { registerReload } from "./reload.ts";
import { registerRole } from "./role.ts";
import { registerRollback } from "./rollback.ts";
import { registerRun } from "./run.ts";
import { registerSchema } from "./schema.ts";
import { registerServices } from "./services.ts";
import { registerSet } from "./set.ts";
import { registerStatus } from "./status.ts";
import { registerTop } from "./top.ts";
import { registerTrace } from "./trace.ts";
import { registerUpgrade } from "./upgrade.ts";

/** Every command of the product, one file each. Adding one is adding a line. */
export const commands: readonly ((program: Command) => void)[] = [
  registerRun,
  registerReload,
  registerRollback,
  registerUpgrade,
  registerStatus,
  registerServices,
  registerBackends,
  registerTop,
  registerMetrics,
  registerEvents,
  registerExplain,
  registerDnssec,
  registerFiles,
  registerFlows,
  registerTrace,
  registerSet,
  registerRole,
  registerCheck,
  registerSchema,
  registerAdapt,
  registerDiff,
  registerDoctor,
  registerDown,
  registerRealServer,
  registerLab,
  registerDemo,
  registerCompletion,
  registerMan,
];
