import type { AdminState, BackendState } from "../core/backend.ts";
import type { CheckConfig, Verdict } from "../core/check.ts";
import type { Code } from "../core/codes.ts";

/**
 * One backend's health, pure: verdicts and an operator's word in, states and changes out.
 *
 * A checked backend is `down` until its first verdict, so that nothing is sent to what was never seen alive; that
 * first verdict counts as a full rise or fall, so that a start does not wait `interval x rise`. Being down before and
 * after it is no change and makes no event. Later, `fall` failures in a row take it down and `rise` successes bring it
 * up; a verdict of the other kind begins the row anew, so one that flaps faster than that keeps its state.
 */
export interface Health {
  readonly checked: boolean;
  readonly admin: AdminState;
  /** What the check says, whatever the operator says. `null`: no verdict yet. */
  readonly alive: boolean | null;
  /** Verdicts in a row against `alive`. */
  readonly against: number;
  /** Derived from the above; see `stateOf`. */
  readonly state: BackendState;
}

/** A change of state, as an event wants it; who records it adds service, backend and how many remain. */
export interface Change {
  from: BackendState;
  to: BackendState;
  code: Code;
  detail: string;
  progress: { count: number; of: number } | null;
  latency: number | null;
}

export interface Step {
  health: Health;
  /** Null: the state stays. */
  change: Change | null;
}

/** A backend at its beginning. `check`: its service's, null for none. */
export function initialHealth(check: CheckConfig | null, admin: AdminState): Health {
  const health = { checked: check !== null, admin, alive: null, against: 0 };
  return { ...health, state: stateOf(health) };
}

/** The state that follows. An operator's maintenance wins over all; a dead backend is down, draining or not. */
export function stateOf({ checked, admin, alive }: Pick<Health, "checked" | "admin" | "alive">): BackendState {
  if (admin === "maintenance") return "maintenance";
  if (checked && alive !== true) return "down";
  if (admin === "drain") return "draining";
  return checked ? "up" : "unchecked";
}

/** What a probe's verdict makes of a backend. The detail of a change names the kind: `tcp connect refused`. */
export function observe(health: Health, verdict: Verdict, check: Pick<CheckConfig, "kind" | "rise" | "fall">): Step {
  // A probe that never left this host says nothing of the backend: it neither breaks nor makes a row.
  if (!health.checked || verdict.code === "SLUICE_CHECK_LOCAL") return { health, change: null };
  const needed = health.alive === null ? 1 : verdict.passed ? check.rise : check.fall;
  const agrees = verdict.passed === health.alive;
  // At least: a reload may have lowered the threshold below the present row.
  const turns = !agrees && health.against + 1 >= needed;
  const next = turns
    ? { alive: verdict.passed, against: 0 }
    : { alive: health.alive, against: agrees ? 0 : health.against + 1 };
  return settle(health, next, {
    code: verdict.code,
    detail: `${check.kind} ${verdict.detail}`,
    latency: verdict.latency,
    progress: { count: needed, of: needed },
  });
}

/** What an operator's word (or a new revision's; `detail` says whose) makes of a backend. */
export function setAdmin(health: Health, admin: AdminState, detail = "set by an operator"): Step {
  const why = { code: "SLUICE_OPERATOR", detail, latency: null, progress: null } as const;
  if (health.admin !== "maintenance" || admin === "maintenance" || !health.checked)
    return settle(health, { admin }, why);
  // Probes pause in maintenance: what was seen before it may no longer hold, so the first one after it decides.
  return settle(health, { admin, alive: null, against: 0 }, { ...why, detail: "out of maintenance, not yet checked" });
}

/** What another service's eligibility makes of a backend that follows it: at once, without rise or fall. */
export function setAlive(health: Health, alive: boolean, detail: string): Step {
  const why = { code: "SLUICE_FOLLOWED", detail, latency: null, progress: null } as const;
  return settle(health, { checked: true, alive, against: 0 }, why);
}

function settle(before: Health, altered: Partial<Health>, why: Omit<Change, "from" | "to">): Step {
  const merged = { ...before, ...altered };
  const state = stateOf(merged);
  const health = { ...merged, state };
  return { health, change: state === before.state ? null : { from: before.state, to: state, ...why } };
}
