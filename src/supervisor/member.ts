import { type Health, neededFor } from "../checks/state-machine.ts";
import type { Backend } from "../core/backend.ts";
import type { CheckConfig, Verdict } from "../core/check.ts";
import type { BackendConfig, Service } from "../core/service.ts";
import type { Outlook, Snapshot } from "../core/snapshot.ts";
import type { Pace } from "./pace.ts";
import { applyRules, type Passive, shownState } from "./passive.ts";
import type { Reported } from "./reported.ts";
import { firstEnd, told, type Words } from "./words.ts";

/** A service that stands as a backend of another: its check, and its backends of now. */
export interface Followed {
  check: CheckConfig | null;
  members(): readonly Member[];
}

/** A backend as the supervisor knows it: what was written, what the operator said since, what the checks say. */
export interface Member {
  id: number;
  name: string;
  config: BackendConfig;
  /** The service that it is, when it is one. */
  followed: Followed | null;
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
  /** Not named by the revision any more: it serves until those that are have been probed, and is not probed itself. */
  leaving: boolean;
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
  const rules = config.follows === undefined ? check : (followed?.check ?? null);
  if (!health.checked || health.state === "maintenance" || rules === null) return null;
  if (health.alive === null) return 0;
  const left = neededFor(health, rules) - health.against;
  const byCheck = Math.max(0, left - 1) * rules.interval;
  return agent && config.follows === undefined ? Math.min(byCheck, agent.interval) : byCheck;
}

/** When the first word about some backends ends, or about those of the services that they are; Infinity: none does. */
export const endOf = (members: readonly Member[]): number =>
  members.reduce(
    (first, { words, followed }) => Math.min(first, firstEnd(words), followed ? endOf(followed.members()) : first),
    Number.POSITIVE_INFINITY,
  );

/**
 * What is known of the next change; undefined where nothing is. A service that is followed changes no sooner than its
 * backends. `now`: ms since 1970.
 */
export function outlookOf(service: Service, members: readonly Member[], now: number): Outlook | undefined {
  const end = endOf(members);
  let [soonest, steady] = [Number.POSITIVE_INFINITY, true];
  for (const member of members) {
    const time = soonestOf(service, member);
    if (time === null) continue;
    soonest = Math.min(soonest, time);
    steady &&= member.health.alive !== null && member.health.against === 0;
  }
  const checked = soonest !== Number.POSITIVE_INFINITY;
  if (end !== Number.POSITIVE_INFINITY) return { soonest: checked ? soonest : null, steady, word: told(end, now) };
  return checked ? { soonest, steady } : undefined;
}

/** What all see of a backend. */
function toBackend(member: Member): Backend {
  const { config, pace, reported } = member;
  const backend: Backend = {
    id: member.id,
    address: config.address,
    port: config.port,
    weight: weightOf(member),
    state: shownState(member),
    tier: config.tier,
    tags: config.tags,
    load: reported.load,
  };
  if (config.url !== undefined) backend.url = config.url;
  if (pace.shown !== null) backend.latency = pace.shown;
  if (reported.limit !== null) backend.limit = reported.limit;
  return backend;
}

/** What all see of a service. Made at every change of a backend: twenty thousand times at the start of many. */
export function toSnapshot(
  service: Service,
  members: readonly Member[],
  revision: number,
  generation: number,
  now = Date.now(),
): Snapshot {
  const backends = members.map(toBackend);
  const eligible = applyRules(service, members, backends);
  const snapshot: Snapshot = { service: service.name, revision, generation, backends, eligible };
  const outlook = outlookOf(service, members, now);
  if (outlook) snapshot.outlook = outlook;
  return snapshot;
}
