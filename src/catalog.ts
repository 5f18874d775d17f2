import { checks } from "./checks/list.ts";
import type { CheckDefinition } from "./core/check.ts";
import type { Method } from "./core/method.ts";
import type { SchedulerDefinition } from "./core/scheduler.ts";
import { direct } from "./methods/direct/index.ts";
import { dns } from "./methods/dns/index.ts";
import { nat } from "./methods/nat/index.ts";
import { proxy } from "./methods/proxy/index.ts";
import { redirect } from "./methods/redirect/index.ts";
import { tunnel } from "./methods/tunnel/index.ts";
import { schedulers } from "./schedulers/list.ts";

// biome-ignore-start lint/suspicious/noExplicitAny: a list of definitions whose option types differ
/** Every method, scheduler and check of a product: configuration, docs and completion are built from one. */
export interface Catalog {
  readonly methods: readonly Method<any, any>[];
  readonly schedulers: readonly SchedulerDefinition<any>[];
  readonly checks: readonly CheckDefinition<any>[];
}
// biome-ignore-end lint/suspicious/noExplicitAny: end of the list

/** The bill of materials: adding a sibling is adding a line. */
export const catalog: Catalog = {
  methods: [redirect, dns, proxy, nat, direct, tunnel],
  schedulers,
  checks,
};
