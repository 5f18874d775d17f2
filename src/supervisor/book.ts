import { type Change, type Health, initialHealth, observe, setAdmin, stateOf } from "../checks/state-machine.ts";
import { type AdminState, type Backend, backendName } from "../core/backend.ts";
import type { Verdict } from "../core/check.ts";
import type { EventBody } from "../core/event.ts";
import type { BackendConfig, Config, Service } from "../core/service.ts";
import { eligibleIds, type Outlook, type Snapshot } from "../core/snapshot.ts";
import { assignIds, type IdBook, identity } from "./ids.ts";

/** A backend as the supervisor knows it: what was written, what the operator said since, what the checks say. */
export interface Member {
  id: number;
  name: string;
  config: BackendConfig;
  /** An operator's word since the revision was applied; it goes with the daemon. */
  override: { admin?: AdminState; weight?: number };
  health: Health;
  last: { verdict: Verdict; at: number } | null;
  /** When the present state began, ms since 1970. */
  since: number;
}

/** One service's backends and the snapshot made of them. */
export interface Entry {
  service: Service;
  members: Member[];
  snapshot: Snapshot;
  since: number;
}

/** The entries of a revision that is not yet running. */
export interface Staged {
  entries: Map<string, Entry>;
  ids: IdBook;
}

/** Identities of living backends, by service. */
export type AliveBook = Record<string, string[]>;

/** The one view of health: every backend of the running revision. Nobody else keeps a backend's state. */
export class Book {
  #entries = new Map<string, Entry>();
  #ids: IdBook;

  readonly #aliveBefore: AliveBook;

  /** `aliveBefore`: backends that a daemon which died last knew to be alive; they are taken as up until a verdict. */
  constructor(remembered: IdBook, aliveBefore: AliveBook = {}) {
    this.#ids = remembered;
    this.#aliveBefore = aliveBefore;
  }

  /** Backends that passed their last checks, for the next daemon should this one die. */
  get alive(): AliveBook {
    return Object.fromEntries(
      [...this.#entries].map(([name, { members }]) => [
        name,
        members.filter(({ health }) => health.alive).map(({ config }) => identity(config)),
      ]),
    );
  }

  get ids(): IdBook {
    return this.#ids;
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  entry(service: string): Entry | undefined {
    return this.#entries.get(service);
  }

  /** What the book would be under `config`: backends that stay keep number, state and what the operator said. */
  stage(config: Config, revision: number): Staged {
    let ids = this.#ids;
    const entries = new Map<string, Entry>();
    for (const service of config.services) {
      ids = assignIds(ids, service.name, service.backends);
      const before = this.#entries.get(service.name);
      const numbers = ids[service.name]!.ids;
      const members = service.backends.map(
        (b) => stay(before, b, service) ?? this.#newMember(numbers[identity(b)]!, b, service),
      );
      const generation = (before?.snapshot.generation ?? 0) + 1;
      const since = before?.since ?? Date.now();
      entries.set(service.name, {
        service,
        members,
        since,
        snapshot: toSnapshot(service, members, revision, generation),
      });
    }
    return { entries, ids };
  }

  commit(staged: Staged): void {
    this.#entries = staged.entries;
    this.#ids = staged.ids;
  }

  /**
   * A probe's verdict; `key` is `service/id`. Returns the event when the state changed. Without an event the service's
   * snapshot may still be a new one, when a backend began or ceased to be on its way to another state.
   */
  verdict(key: string, verdict: Verdict): EventBody | null {
    const [entry, member] = this.#find(key);
    if (!entry || !member || entry.service.check === null) return null;
    member.last = { verdict, at: Date.now() };
    const { health, change } = observe(member.health, verdict, entry.service.check);
    member.health = health;
    if (change) return this.#changed(entry, member, change);
    if (outlookOf(entry.service, entry.members)?.steady !== entry.snapshot.outlook?.steady) this.#renew(entry);
    return null;
  }

  /** An operator's word. Null when there is no such backend; the event is null when nothing changed. */
  command(service: string, backend: string, wish: Member["override"]): { event: EventBody | null } | null {
    const entry = this.#entries.get(service);
    const member = entry?.members.find((m) => m.name === backend || m.config.address === backend);
    if (!entry || !member) return null;
    const weightBefore = weightOf(member);
    member.override = { ...member.override, ...wish };
    const { health, change } = setAdmin(member.health, member.override.admin ?? member.config.admin);
    member.health = health;
    if (change) return { event: this.#changed(entry, member, change) };
    if (weightOf(member) !== weightBefore) this.#renew(entry);
    return { event: null };
  }

  #newMember(id: number, config: BackendConfig, service: Service): Member {
    const fresh = initialHealth(service.check, config.admin);
    const alive = service.check !== null && this.#aliveBefore[service.name]?.includes(identity(config));
    const health = alive ? { ...fresh, alive, state: stateOf({ ...fresh, alive }) } : fresh;
    return { id, name: config.url ?? backendName(config), config, override: {}, health, last: null, since: Date.now() };
  }

  #find(key: string): [Entry, Member] | [undefined, undefined] {
    const slash = key.lastIndexOf("/");
    const entry = this.#entries.get(key.slice(0, slash));
    const member = entry?.members.find(({ id }) => id === Number(key.slice(slash + 1)));
    return entry && member ? [entry, member] : [undefined, undefined];
  }

  #renew(entry: Entry): void {
    const { revision, generation } = entry.snapshot;
    entry.snapshot = toSnapshot(entry.service, entry.members, revision, generation + 1);
  }

  #changed(entry: Entry, member: Member, change: Change): EventBody {
    member.since = Date.now();
    this.#renew(entry);
    const { service, eligible } = entry.snapshot;
    return {
      kind: "backend",
      service,
      backend: member.name,
      ...change,
      eligible: eligible.length,
      of: entry.members.length,
    };
  }
}

const weightOf = (member: Member): number => member.override.weight ?? member.config.weight;

/** The member that `config` names, when it was there before: number, health and what the operator said go on. */
function stay(before: Entry | undefined, config: BackendConfig, service: Service): Member | null {
  const member = before?.members.find((m) => identity(m.config) === identity(config));
  if (!member) return null;
  const override =
    member.config.admin === config.admin && member.config.weight === config.weight ? member.override : {};
  const admin = override.admin ?? config.admin;
  const sameCheck = before!.service.check?.kind === service.check?.kind;
  const { health } = sameCheck ? setAdmin(member.health, admin) : { health: initialHealth(service.check, admin) };
  const since = health.state === member.health.state ? member.since : Date.now();
  return { ...member, config, override, health, last: sameCheck ? member.last : null, since };
}

/** The least time in which verdicts could change a state; undefined where there are none to come. */
function outlookOf({ check }: Service, members: readonly Member[]): Outlook | undefined {
  const probed = members.filter(({ health }) => health.checked && health.state !== "maintenance");
  if (check === null || probed.length === 0) return undefined;
  const left = probed.map(({ health: { alive, against } }) =>
    alive === null ? 0 : Math.max(1, (alive ? check.fall : check.rise) - against),
  );
  const steady = probed.every(({ health }) => health.alive !== null && health.against === 0);
  return { soonest: Math.min(...left) * check.interval, steady };
}

function toSnapshot(service: Service, members: readonly Member[], revision: number, generation: number): Snapshot {
  const backends = members.map(
    (member): Backend => ({
      id: member.id,
      address: member.config.address,
      port: member.config.port,
      ...(member.config.url ? { url: member.config.url } : {}),
      weight: weightOf(member),
      state: member.health.state,
      tier: member.config.tier,
      tags: member.config.tags,
      load: null,
    }),
  );
  const outlook = outlookOf(service, members);
  const snapshot = { service: service.name, revision, generation, backends, eligible: eligibleIds(backends) };
  return outlook ? { ...snapshot, outlook } : snapshot;
}
