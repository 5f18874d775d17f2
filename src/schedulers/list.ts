import type { SchedulerDefinition } from "../core/scheduler.ts";
import leastConnections from "./least-connections.ts";
import maglev from "./maglev.ts";
import p2c from "./p2c.ts";
import p2cEwma from "./p2c-ewma.ts";
import prequal from "./prequal.ts";
import random from "./random.ts";
import roundRobin from "./round-robin.ts";
import sourceHash from "./source-hash.ts";
import weightedRoundRobin from "./weighted-round-robin.ts";

/** Every scheduler. `any`: each has options of its own type; the catalog's user parses before it creates. */
// biome-ignore lint/suspicious/noExplicitAny: a list over different option types
export const schedulers: readonly SchedulerDefinition<any>[] = [
  roundRobin,
  weightedRoundRobin,
  leastConnections,
  random,
  p2c,
  p2cEwma,
  prequal,
  sourceHash,
  maglev,
];
