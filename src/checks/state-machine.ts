import type { AdminState, BackendState } from "../core/backend.ts";
import type { AgentWord, CheckConfig, Verdict } from "../core/check.ts";
import type { Code } from "../core/codes.ts";

/**
 * One backend's health, pure: verdicts and an operator's word in, states and changes out.
 *
 * A checked backend is `down` until its first verdict, so that nothing is sent to what was never seen alive; that
 * first verdict counts as a full rise or fall, so that a start does not wait `interval x rise`. Being down before and
 * after it is no change and makes no event. Later, `fall` failures in a row take it down and `rise` successes bring it
 * up; a verdict of the other kind begins the row anew, so one that flaps faster than that keeps its state. One that
 * flaps slower is damped where the check says so: it is out at once as ever, and comes back the slower each time.
 */
export interface Health {
  readonly checked: boolean;
  /** An operator's word, or the configuration's. */
  readonly admin: AdminState;
  /** The word of the backend's own agent: it stands until the agent takes it back. */
  readonly agent: { readonly admin: AdminState; readonly up: boolean };
  /** What the check says, whatever the operator says. `null`: no verdict yet. */
  readonly alive: boolean | null;
  /** Verdicts in a row against `alive`. */
  readonly against: number;
  /** Falls that each came soon after it had come back, and when it last came back (ms since 1970; null: it has not fallen). */
  readonly flaps: number;
  readonly rose: number | null;
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

/** A backend at its beginning. `check`: its service's, null for none. `alive`: what is known of it; null: nothing. */
export function initialHealth(check: CheckConfig | null, admin: AdminState, alive: boolean | null = null): Health {
  const [checked, agent] = [check !== null, noAgent];
  const state = stateOf({ checked, admin, agent, alive });
  return { checked, admin, agent, alive, against: 0, flaps: 0, rose: null, state };
}

/** A backend whose agent has said nothing that takes it out. */
export const noAgent: Health["agent"] = { admin: "ready", up: true };

/** The stricter of what operator and agent want: neither puts back what the other has taken out. */
export function modeOf({ admin, agent }: Pick<Health, "admin" | "agent">): AdminState {
  const either = (mode: AdminState): boolean => admin === mode || agent.admin === mode;
  return either("maintenance") ? "maintenance" : either("drain") ? "drain" : "ready";
}

/**
 * The state that follows. Maintenance wins over all; a backend that fails its check or says that it is down is down,
 * draining or not.
 */
export function stateOf(health: Pick<Health, "checked" | "admin" | "agent" | "alive">): BackendState {
  const { checked, alive, agent } = health;
  const mode = modeOf(health);
  if (mode === "maintenance") return "maintenance";
  if (!agent.up || (checked && alive !== true)) return "down";
  if (mode === "drain") return "draining";
  return checked ? "up" : "unchecked";
}

/** Most times that the successes which a flapping backend needs are doubled. */
const MOST_DOUBLINGS = 6;

/** Verdicts in a row that it takes to change what the check says of a backend that has been seen. */
export const neededFor = ({ alive, flaps }: Pick<Health, "alive" | "flaps">, { rise, fall, damp }: Rules): number =>
  alive ? fall : rise * 2 ** (damp === undefined ? 0 : Math.min(flaps, MOST_DOUBLINGS));

type Rules = Pick<CheckConfig, "rise" | "fall" | "damp">;

/**
 * What a probe's verdict makes of a backend. The detail of a change names the kind: `tcp connect refused`.
 * @param now ms since 1970
 */
export function observe(health: Health, verdict: Verdict, check: Rules & Pick<CheckConfig, "kind">, now: number): Step {
  // A probe that never left this host says nothing of the backend: it neither breaks nor makes a row.
  if (!health.checked || verdict.code === "SLUICE_CHECK_LOCAL") return { health, change: null };
  const needed = health.alive === null ? 1 : neededFor(health, check);
  const agrees = verdict.passed === health.alive;
  // As nearly always.
  if (agrees && health.against === 0) return { health, change: null };
  // At least: a reload may have lowered the threshold below the present row.
  const turns = !agrees && health.against + 1 >= needed;
  const soon = health.rose !== null && now - health.rose < (check.damp ?? 0);
  return settle(
    health,
    {
      alive: turns ? verdict.passed : health.alive,
      against: turns || agrees ? 0 : health.against + 1,
      flaps: turns && health.alive ? (soon ? health.flaps + 1 : 0) : health.flaps,
      rose: turns && health.alive === false ? now : health.rose,
    },
    {
      code: verdict.code,
      detail: `${check.kind} ${verdict.detail}`,
      latency: verdict.latency,
      progress: { count: needed, of: needed },
    },
  );
}

/** What an operator's word (or a new revision's; `detail` says whose) makes of a backend. */
export function setAdmin(health: Health, admin: AdminState, detail = "set by an operator"): Step {
  return setWord(health, { admin }, { code: "SLUICE_OPERATOR", detail });
}

/** What the answer of a backend's agent makes of it: what it does not name stays. `detail`: its words. */
export function setAgent(health: Health, { admin, up }: AgentWord, detail: string): Step {
  const agent = { admin: admin ?? health.agent.admin, up: up ?? health.agent.up };
  return setWord(health, { agent }, { code: "SLUICE_AGENT", detail });
}

function setWord(health: Health, word: Partial<Health>, said: Pick<Change, "code" | "detail">): Step {
  const why = { ...said, latency: null, progress: null };
  const back = modeOf(health) === "maintenance" && modeOf({ ...health, ...word }) !== "maintenance";
  if (!back || !health.checked) return settle(health, word, why);
  // Probes pause in maintenance: what was seen before it may no longer hold, so the first one after it decides.
  const unseen = { alive: null, against: 0 };
  return settle(health, { ...word, ...unseen }, { ...why, detail: "out of maintenance, not yet checked" });
}

/** What another service's eligibility makes of a backend that follows it: at once, without rise or fall. */
export function setAlive(health: Health, alive: boolean, detail: string): Step {
  const why = { code: "SLUICE_FOLLOWED", detail, latency: null, progress: null } as const;
  return settle(health, { checked: true, alive, against: 0 }, why);
}

function settle(before: Health, altered: Partial<Health>, why: Omit<Change, "from" | "to">): Step {
  const health: { -readonly [K in keyof Health]: Health[K] } = { ...before, ...altered };
  health.state = stateOf(health);
  const { state } = health;
  return { health, change: state === before.state ? null : { from: before.state, to: state, ...why } };
}
