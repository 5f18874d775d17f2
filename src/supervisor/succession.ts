import { isDeepStrictEqual } from "node:util";
import { healthRulesOf } from "../checks/health-rules.ts";
import { type Health, initialHealth, noAgent, setAdmin } from "../checks/state-machine.ts";
import type { AdminState } from "../core/backend.ts";
import type { CheckConfig } from "../core/check.ts";
import type { BackendConfig, Service } from "../core/service.ts";
import { identity } from "./ids.ts";
import { type Entry, type Member, weightOf } from "./member.ts";
import { unknownPace } from "./pace.ts";
import { neverEjected, serves, shownState } from "./passive.ts";
import { silent } from "./reported.ts";
import { sameWritten } from "./words.ts";

/** The member that `config` names, which was there before: number, health and what the operator said go on. */
export function stay(
  member: Member | undefined,
  before: Service,
  config: BackendConfig,
  service: Service,
): Member | null {
  if (!member || Boolean(member.config.follows) !== Boolean(config.follows)) return null;
  const words = sameWritten(member.config, config) ? member.words : {};
  const admin = words.admin?.is ?? config.admin;
  const sameCheck = config.follows !== undefined || before.check?.kind === service.check?.kind;
  const sameAgent = before.agent?.port === service.agent?.port;
  const agent = sameAgent ? member.health.agent : noAgent;
  const kept = { ...(sameCheck ? member.health : seenOtherwise(member, service.check, admin)), agent };
  const { health } = setAdmin(kept, admin);
  const since = health.state === member.health.state ? member.since : Date.now();
  const reported = sameAgent ? member.reported : silent;
  const pace = sameCheck ? member.pace : unknownPace;
  return {
    ...member,
    config,
    words,
    health,
    reported,
    pace,
    passive: healthRulesOf(service).ejection === false ? { ...member.passive, ...neverEjected } : member.passive,
    last: sameCheck ? member.last : null,
    since,
    leaving: false,
  };
}

/** Under a check of another kind, or its first: who serves does so until that says otherwise, who does not is as good as new. */
function seenOtherwise({ health }: Member, check: CheckConfig | null, admin: AdminState): Health {
  const fresh = initialHealth(check, admin);
  return fresh.checked && (!health.checked || health.alive) ? { ...fresh, alive: true } : fresh;
}

/**
 * The backends of a running service that serve on for a moment under a revision that does not name them: those that get
 * work now, when nobody of whom it names could get any before its first check. `members`: those it names.
 */
export function predecessors(before: Entry, service: Service, members: readonly Member[]): Member[] {
  // Under another method, or behind other listeners, they may be backends that cannot be.
  if (before.service.method !== service.method || !isDeepStrictEqual(before.service.listen, service.listen)) return [];
  if (!members.some(awaited) || members.some((m) => serves(shownState(m)) && weightOf(m) > 0)) return [];
  const named = new Set(members.map(({ config }) => identity(config)));
  const working = new Set(before.snapshot.eligible);
  return before.members
    .filter(({ id, config }) => working.has(id) && !named.has(identity(config)) && !members.some(alike(config)))
    .map((member) => ({ ...member, leaving: true }));
}

/** Is its first verdict still to come? */
const awaited = ({ health, config: { follows } }: Member): boolean =>
  follows === undefined && health.checked && health.alive === null;

/** The same address, once on the client's port and once on its own: the kernel could not tell the two apart. */
const alike =
  (old: BackendConfig) =>
  ({ config }: Member): boolean =>
    config.address === old.address && (config.port === null || old.port === null);
