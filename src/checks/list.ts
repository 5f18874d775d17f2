import type { CheckDefinition } from "../core/check.ts";
import http from "./http.ts";
import tcp from "./tcp.ts";

/** Every kind of check. `any`: each has options of its own type; the configuration parses before a probe runs. */
// biome-ignore lint/suspicious/noExplicitAny: a list over different option types
export const checks: readonly CheckDefinition<any>[] = [tcp, http];
