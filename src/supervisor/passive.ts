import type { Record as Failures } from "../checks/ejection.ts";
import { type HealthRules, healthRulesOf } from "../checks/health-rules.ts";
import { type Health, modeOf } from "../checks/state-machine.ts";
import type { Backend, BackendState } from "../core/backend.ts";
import type { Service } from "../core/service.ts";
import { eligibleIds, type Snapshot } from "../core/snapshot.ts";
import type { Reported } from "./reported.ts";

/** What requests, not checks, have made of a backend. Times in ms since 1970. */
export interface Passive {
  /** Null until its counts have been looked at once: they may be of another that had its number. */
  failures: Failures | null;
  /** Why it is ejected; null: it is not. */
  ejected: string | null;
  /** It came back then, and has not reached its whole weight; null: it has. */
  warmingSince: number | null;
}

/** Of a backend that has not been ejected, or is so no more without a word about its failures. */
export const neverEjected: Pick<Passive, "failures" | "ejected"> = { failures: null, ejected: null };

export const freshPassive = (): Passive => ({ ...neverEjected, warmingSince: null });

export const serves = (state: BackendState): boolean => state === "up" || state === "unchecked";

/** The state that all see: an ejected backend is down, whatever its check says. */
export const shownState = ({ health, passive }: { health: Health; passive: Passive }): BackendState =>
  passive.ejected !== null && serves(health.state) ? "down" : health.state;

/** Weights of a service in which a backend is warming up are counted in these parts. */
const PARTS = 10;
/** Those of a service whose backends ask for a percentage of theirs. */
const PERCENT_PARTS = 100;
const MOST_WEIGHT = 65_535;

/** The part of its weight that a backend has now, 0.1..1. */
export function warmth({ warmingSince }: Passive, { slowStart }: HealthRules, now: number): number {
  if (warmingSince === null || slowStart === 0) return 1;
  return Math.min(1, Math.max(1 / PARTS, (now - warmingSince) / slowStart));
}

/** The part of its weight that a backend has now: by what it asks for, and by its warming up. */
export const weightShare = (member: Graded, rules: HealthRules, now: number): number =>
  (member.reported.percent / 100) * warmth(member.passive, rules, now);

interface Graded {
  health: Pick<Health, "admin" | "agent">;
  /** Serves only until others have been probed, of whom nothing is known. */
  leaving?: boolean;
  passive: Passive;
  reported: Pick<Reported, "percent">;
}

/** Sets the weights and the eligible ones of a snapshot by the service's health rules. `members` in order of `backends`. */
export function applyRules(service: Service, members: readonly Graded[], backends: Backend[]): number[] {
  const rules = healthRulesOf(service);
  const now = Date.now();
  const warming = rules.slowStart > 0 && members.some(({ passive }) => warmth(passive, rules, now) < 1);
  const parts = service.agent ? PERCENT_PARTS : warming ? PARTS : 1;
  if (parts > 1) {
    // Large weights are fine enough as they are: more parts of them would not fit.
    const largest = Math.max(1, ...backends.map((b) => b.weight));
    const fitting = Math.max(1, Math.min(parts, Math.floor(MOST_WEIGHT / largest)));
    backends.forEach((backend, i) => {
      const share = weightShare(members[i]!, rules, now);
      if (backend.weight === 0 || share === 0) backend.weight = 0;
      else backend.weight = Math.min(MOST_WEIGHT, Math.max(1, Math.round(backend.weight * fitting * share)));
    });
  }
  // Who is yet to be probed is not ill: there is no panic.
  return members.some(({ leaving }) => leaving) ? eligibleIds(backends) : eligibleBy(rules, members, backends);
}

/**
 * As checks and failures say: those of the lowest tier of which not too many are out, and who is left of the tiers before
 * it. Where too many of every tier are out to believe it, all that neither an operator nor they themselves have taken out.
 */
function eligibleBy({ panic }: HealthRules, members: readonly Graded[], backends: readonly Backend[]): number[] {
  if (panic === 0) return eligibleIds(backends);
  const wanted = backends.filter(({ weight }, i) => weight > 0 && isWanted(members[i]!));
  const healthy = wanted.filter(({ state }) => serves(state));
  const countOf = (some: readonly Backend[], tier: number): number => some.filter((b) => b.tier === tier).length;
  const tiers = [...new Set(healthy.map(({ tier }) => tier))];
  const enough = tiers.filter((tier) => countOf(healthy, tier) * 100 >= countOf(wanted, tier) * panic);
  const last = Math.min(...enough);
  const eligible = enough.length === 0 ? wanted : healthy.filter(({ tier }) => tier <= last);
  return eligible.map(({ id }) => id).sort((a, b) => a - b);
}

/** Would it get work in panic? Those who have been taken out are not ill. */
export const isWanted = ({ health }: Pick<Graded, "health">): boolean => modeOf(health) === "ready" && health.agent.up;

/** Do backends get work that are down? */
export function inPanic({ backends, eligible }: Snapshot): boolean {
  const down = new Set(backends.filter(({ state }) => state === "down").map(({ id }) => id));
  return down.size > 0 && eligible.some((id) => down.has(id));
}
