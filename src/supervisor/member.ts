import type { Health } from "../checks/state-machine.ts";
import type { Backend } from "../core/backend.ts";
import type { Verdict } from "../core/check.ts";
import type { BackendConfig, Service } from "../core/service.ts";
import type { Outlook, Snapshot } from "../core/snapshot.ts";
import { applyRules, type Passive, shownState } from "./passive.ts";
import type { Reported } from "./reported.ts";
import type { Words } from "./words.ts";

/** A backend as the supervisor knows it: what was written, what the operator said since, what the checks say. */
export interface Member {
  id: number;
  name: string;
  config: BackendConfig;
  /** What an operator has said of it since the file did. */
  words: Words;
  health: Health;
  /** What failed requests have made of it. */
  passive: Passive;
  /** What it says of itself. */
  reported: Reported;
  last: { verdict: Verdict; at: number } | null;
  /** When the present state began, ms since 1970. */
  since: number;
}

/** One service's backends and the snapshot made of them. */
export interface Entry {
  service: Service;
  members: Member[];
  /** What backends report changes it a little later: see `takeReports`. */
  snapshot: Snapshot;
  since: number;
}

/** The weight that is written, or an operator's. */
export const weightOf = (member: Member): number => member.words.weight?.is ?? member.config.weight;

/** The least time in which verdicts could change a state; undefined where there are none to come. */
export function outlookOf({ check }: Service, members: readonly Member[]): Outlook | undefined {
  const probed = members.filter(
    ({ config, health }) => !config.follows && health.checked && health.state !== "maintenance",
  );
  if (check === null || probed.length === 0) return undefined;
  const left = probed.map(({ health: { alive, against } }) =>
    alive === null ? 0 : Math.max(1, (alive ? check.fall : check.rise) - against),
  );
  const steady = probed.every(({ health }) => health.alive !== null && health.against === 0);
  return { soonest: Math.min(...left) * check.interval, steady };
}

/** What all see of a service. */
export function toSnapshot(
  service: Service,
  members: readonly Member[],
  revision: number,
  generation: number,
): Snapshot {
  const backends = members.map(
    (member): Backend => ({
      id: member.id,
      address: member.config.address,
      port: member.config.port,
      ...(member.config.url ? { url: member.config.url } : {}),
      weight: weightOf(member),
      state: shownState(member),
      tier: member.config.tier,
      tags: member.config.tags,
      load: member.reported.load,
      ...(member.reported.limit === null ? {} : { limit: member.reported.limit }),
    }),
  );
  const outlook = outlookOf(service, members);
  const snapshot = {
    service: service.name,
    revision,
    generation,
    backends,
    eligible: applyRules(service, members, backends),
  };
  return outlook ? { ...snapshot, outlook } : snapshot;
}
