import type { Catalog } from "../catalog.ts";
import { planChange } from "../config/plan.ts";
import type { Config } from "../core/service.ts";
import type { Entry } from "./member.ts";

/** Do two entries of a service say the same of its backends? */
export function sameBackends({ snapshot: a }: Entry, { snapshot: b }: Entry): boolean {
  if (a.backends === b.backends && a.eligible === b.eligible) return true;
  return JSON.stringify([a.backends, a.eligible]) === JSON.stringify([b.backends, b.eligible]);
}

/** What a new revision changes, a clause each, for its event. */
export function changesOf(before: Config | null, after: Config, catalog: Catalog): string[] {
  const { services, shared } = planChange(before, after, catalog);
  const said = services.map((s) => (s.change === "same" ? null : `${s.service} ${s.change}: ${s.what.join(", ")}`));
  return [...said.filter((text) => text !== null), ...shared];
}
