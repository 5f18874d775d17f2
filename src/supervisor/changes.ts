import type { Catalog } from "../catalog.ts";
import { planChange } from "../config/plan.ts";
import type { Config } from "../core/service.ts";
import type { Entry } from "./member.ts";

/** Do two entries of a service say the same of its backends? */
export const sameBackends = (a: Entry, b: Entry): boolean =>
  JSON.stringify([a.snapshot.backends, a.snapshot.eligible]) ===
  JSON.stringify([b.snapshot.backends, b.snapshot.eligible]);

/** What a new revision changes, a clause each, for its event. */
export function changesOf(before: Config | null, after: Config, catalog: Catalog): string[] {
  const { services, shared } = planChange(before, after, catalog);
  const said = services.map((s) => (s.change === "same" ? null : `${s.service} ${s.change}: ${s.what.join(", ")}`));
  return [...said.filter((text) => text !== null), ...shared];
}
