import { type Health, neededFor } from "../checks/state-machine.ts";
import type { Backend } from "../core/backend.ts";
import type { CheckConfig, Verdict } from "../core/check.ts";
import type { BackendConfig, Service } from "../core/service.ts";
import type { Outlook, Snapshot } from "../core/snapshot.ts";
import type { Pace } from "./pace.ts";
import { applyRules, type Passive, shownState } from "./passive.ts";
import type { Reported } from "./reported.ts";
import type { Words } from "./words.ts";

/** A backend as the supervisor knows it: what was written, what the operator said since, what the checks say. */
export interface Member {
  id: number;
  name: string;
  config: BackendConfig;
  /** The check of the service that it is, when it is one. */
  followed: CheckConfig | null;
  /** How fast it answers its checks, where somebody chooses by it. */
  pace: Pace;
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

/**
 * The least time in which a backend's health could be another, ms: the next verdict may come at once, each further one
 * an interval later. Null: nothing checks it.
 */
function soonestOf({ check, agent }: Service, { config, health, followed }: Member): number | null {
  const rules = config.follows === undefined ? check : followed;
  if (!health.checked || health.state === "maintenance" || rules === null) return null;
  if (health.alive === null) return 0;
  const left = neededFor(health, rules) - health.against;
  const byCheck = Math.max(0, left - 1) * rules.interval;
  return agent && config.follows === undefined ? Math.min(byCheck, agent.interval) : byCheck;
}

/** What checks could bring; undefined where there are none. A service that is followed changes no sooner than its backends. */
export function outlookOf(service: Service, members: readonly Member[]): Outlook | undefined {
  const times = members.map((member) => soonestOf(service, member)).filter((time) => time !== null);
  if (times.length === 0) return undefined;
  const steady = members.every(
    (member) => soonestOf(service, member) === null || (member.health.alive !== null && member.health.against === 0),
  );
  return { soonest: Math.min(...times), steady };
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
      ...(member.pace.shown === null ? {} : { latency: member.pace.shown }),
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
