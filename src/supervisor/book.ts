import {
  eject,
  freshRecord,
  isOver,
  judgePace,
  type Look,
  look,
  mayEject,
  readmit,
  type Tally,
  usualPace,
} from "../checks/ejection.ts";
import { healthRulesOf } from "../checks/health-rules.ts";
import {
  type Change,
  initialHealth,
  observe,
  type Step,
  setAdmin,
  setAgent,
  setAlive,
} from "../checks/state-machine.ts";
import { sameService } from "../config/plan.ts";
import { backendName } from "../core/backend.ts";
import type { Verdict } from "../core/check.ts";
import type { EventBody } from "../core/event.ts";
import type { BackendConfig, Config, Service } from "../core/service.ts";
import { type IdBook, identity, numbersFor } from "./ids.ts";
import { LastKnown } from "./last-known.ts";
import { type Entry, type Followed, type Member, outlookOf, toSnapshot, weightOf } from "./member.ts";
import { paced, unknownPace } from "./pace.ts";
import { freshPassive, isWanted, serves, shownState, warmth } from "./passive.ts";
import { asksOther, heard, silent } from "./reported.ts";
import { predecessors, stay } from "./succession.ts";
import { stillSaid, type WordBook, type Words } from "./words.ts";

/** The entries of a revision that is not yet running. */
export interface Staged {
  entries: Map<string, Entry>;
  ids: IdBook;
}

/** The one view of health: every backend of the running revision. Nobody else keeps a backend's state. */
export class Book {
  #entries = new Map<string, Entry>();
  #ids: IdBook;
  /** Backends that are other services, by those. */
  readonly #followers = new Map<string, [Entry, Member][]>();

  readonly #lastKnown: LastKnown;
  readonly #wordsBefore: WordBook;
  readonly #readsLatency: (service: Service) => boolean;

  /**
   * `lastKnown`: what an earlier daemon had found; it holds until checks have found something else.
   * `wordsBefore`: what operators had said to it. `readsLatency`: does a service choose by how fast checks are answered?
   */
  constructor(
    remembered: IdBook,
    lastKnown = new LastKnown({}, false),
    wordsBefore: WordBook = {},
    readsLatency: (service: Service) => boolean = () => false,
  ) {
    this.#readsLatency = readsLatency;
    this.#ids = remembered;
    this.#lastKnown = lastKnown;
    this.#wordsBefore = wordsBefore;
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
    const ids = { ...this.#ids };
    const entries = new Map<string, Entry>();
    const checks = new Map(config.services.map(({ name, check }) => [name, check]));
    const followedBy = ({ follows }: BackendConfig): Followed | null => {
      const check = checks.get(follows ?? "");
      return check === undefined ? null : { check, members: () => entries.get(follows!)?.members ?? [] };
    };
    for (const service of config.services) {
      const before = this.#entries.get(service.name);
      const kept = before && this.#unchanged(before, service, revision);
      if (kept) {
        entries.set(service.name, kept);
        continue;
      }
      const own = numbersFor(ids[service.name], service.backends);
      ids[service.name] = own;
      const known = new Map(before?.members.map((member) => [identity(member.config), member]));
      const members = service.backends.map((b): Member => {
        const key = identity(b);
        const stayed = before && stay(known.get(key), before.service, b, service);
        const followed = followedBy(b);
        return stayed ? { ...stayed, followed } : this.#newMember(own.ids[key]!, b, service, followed);
      });
      if (before) members.push(...predecessors(before, service, members));
      const generation = (before?.snapshot.generation ?? 0) + 1;
      const since = before?.since ?? Date.now();
      const snapshot = toSnapshot(service, members, revision, generation);
      entries.set(service.name, { service, members, since, snapshot });
    }
    for (const entry of entries.values()) {
      if (!entry.members.some(follows)) continue;
      const settled = entry.members.map((member) => settleFollower(member, entries)?.health ?? member.health);
      for (const [i, member] of entry.members.entries()) member.health = settled[i]!;
      entry.snapshot = toSnapshot(entry.service, entry.members, revision, entry.snapshot.generation);
    }
    return { entries, ids };
  }

  /**
   * A service that the revision leaves as it is shares its members with the running one. Null: it is not left so, or they
   * are about to change: they follow others, or have reported what no snapshot says yet.
   */
  #unchanged(before: Entry, service: Service, revision: number): Entry | null {
    if (!sameService(before.service, service) || before.members.some(follows) || this.#reporting.has(before))
      return null;
    const snapshot = { ...before.snapshot, revision, generation: before.snapshot.generation + 1 };
    return { service, members: before.members, since: before.since, snapshot };
  }

  /** The backends that follow a service whose snapshot is another one: the events of those whose state changed. */
  follow(service: string): EventBody[] {
    return (this.#followers.get(service) ?? []).flatMap(([entry, member]) => {
      const step = settleFollower(member, this.#entries);
      if (!step) return [];
      member.health = step.health;
      return step.change ? [this.#changed(entry, member, step.change)] : [];
    });
  }

  commit(staged: Staged): void {
    this.#entries = staged.entries;
    this.#ids = staged.ids;
    this.#followers.clear();
    for (const entry of this.#entries.values())
      for (const member of entry.members) {
        const { follows } = member.config;
        if (follows === undefined) continue;
        const known = this.#followers.get(follows);
        if (known) known.push([entry, member]);
        else this.#followers.set(follows, [[entry, member]]);
      }
  }

  /** Entries that had backends which serve on only until their successors have been probed: those are gone now. */
  dismiss(): Entry[] {
    const changed = [...this.#entries.values()].filter(({ members }) => members.some(({ leaving }) => leaving));
    for (const entry of changed) {
      entry.members = entry.members.filter(({ leaving }) => !leaving);
      this.#renew(entry);
    }
    if (changed.length > 0) this.commit({ entries: this.#entries, ids: this.#ids });
    return changed;
  }

  /**
   * A probe's verdict; `key` is `service/id`. Returns the event when the state changed. Without an event the service's
   * snapshot may still be a new one, when a backend began or ceased to be on its way to another state, or is faster or
   * slower than before.
   */
  verdict(key: string, verdict: Verdict): EventBody | null {
    const [entry, member] = this.#find(key);
    if (!entry || !member || entry.service.check === null || member.config.follows) return null;
    const first = member.last === null;
    if (first) this.#lastKnown.forget(entry.service, member.config);
    member.last = { verdict, at: Date.now() };
    const { health, change } = observe(member.health, verdict, entry.service.check, member.last.at);
    const same = health === member.health;
    member.health = health;
    const before = member.pace;
    if (verdict.passed && verdict.latency !== null && this.#readsLatency(entry.service))
      member.pace = paced(before, verdict.latency);
    if (change) return this.#changed(entry, member, change, !first);
    const { service, members, snapshot } = entry;
    const wavers = !same && outlookOf(service, members, member.last.at)?.steady !== snapshot.outlook?.steady;
    if (wavers || member.pace.shown !== before.shown) this.#renew(entry);
    return null;
  }

  /**
   * What a backend's agent answered; `key` is `service/id`. Returns the event when the state changed. Weights, limits,
   * loads, and words about a backend that is down all the same, change the snapshot at the next `takeReports`.
   */
  agentSaid(key: string, verdict: Verdict): EventBody | null {
    const [entry, member] = this.#find(key);
    if (!entry?.service.agent || !member) return null;
    const before = member.reported;
    member.reported = heard(before, verdict, Date.now());
    if (asksOther(before, member.reported)) this.#reporting.add(entry);
    if (!verdict.said) return null;
    const { health, change } = setAgent(member.health, verdict.said, `agent says ${verdict.detail}`);
    if (isWanted(member) !== isWanted({ health })) this.#reporting.add(entry);
    member.health = health;
    return change && this.#changed(entry, member, change, before.last !== null);
  }

  /** Entries whose backends ask for other work than their snapshots give: those are new now. */
  takeReports(): Entry[] {
    const changed = [...this.#reporting].filter((entry) => this.#entries.get(entry.service.name) === entry);
    this.#reporting.clear();
    for (const entry of changed) this.#renew(entry);
    return changed;
  }

  readonly #reporting = new Set<Entry>();

  /** The backends of a name (of a service), or of a tag. */
  named(service: string, backend: string): [Entry, Member][] {
    return this.#which((m, e) => e.service.name === service && (m.name === backend || m.config.address === backend));
  }

  tagged(tag: string, service: string | null): [Entry, Member][] {
    return this.#which((m, e) => (service === null || e.service.name === service) && m.config.tags.includes(tag));
  }

  #which(is: (member: Member, entry: Entry) => boolean): [Entry, Member][] {
    return [...this.#entries.values()].flatMap((entry) =>
      entry.members.flatMap((member): [Entry, Member][] => (is(member, entry) ? [[entry, member]] : [])),
    );
  }

  /** What an operator says of a backend from now on. The event when its state changed; its snapshot may be new without. */
  say(entry: Entry, member: Member, words: Words, detail: string): EventBody | null {
    const before = { weight: weightOf(member), wanted: isWanted(member) };
    // What an earlier daemon was told of it is over, also for when the backend goes and comes again.
    delete this.#wordsBefore[entry.service.name]?.[identity(member.config)];
    member.words = words;
    const { health, change } = setAdmin(member.health, words.admin?.is ?? member.config.admin, detail);
    member.health = health;
    if (change) return this.#changed(entry, member, change);
    if (weightOf(member) !== before.weight || isWanted(member) !== before.wanted) this.#renew(entry);
    else this.foresee(entry, Date.now());
    return null;
  }

  /** Has the end of an operator's word come nearer, or is it another? Then the snapshot is a new one. `now`: ms since 1970. */
  foresee(entry: Entry, now: number): boolean {
    if (outlookOf(entry.service, entry.members, now)?.word === entry.snapshot.outlook?.word) return false;
    this.#renew(entry, now);
    return true;
  }

  /** A request has failed at this backend, or it is time to look: ejects it when its counts say so. */
  judge(entry: Entry, member: Member, tally: Tally, now: number): EventBody | null {
    const { ejection } = healthRulesOf(entry.service);
    const { passive } = member;
    if (ejection === false) return null;
    const failures = passive.failures ?? freshRecord(tally, now);
    if (failures.until !== null) {
      const from = shownState(member);
      if (passive.ejected !== null && !isOver(failures.until, ejection, now)) return null;
      passive.ejected = null;
      passive.failures = readmit(failures, tally, now);
      return this.#moved(entry, member, from, "its ejection is over");
    }
    return this.#judged(entry, member, look(failures, ejection, tally, now), now);
  }

  /** After all have been looked at: ejects those that are far slower than the pool. */
  judgePaces(entry: Entry, now: number): EventBody[] {
    const { ejection } = healthRulesOf(entry.service);
    if (ejection === false || ejection.slow === false) return [];
    const usual = usualPace(entry.members.flatMap(({ passive }) => passive.failures ?? []));
    return entry.members.flatMap((member) => {
      const { failures, ejected } = member.passive;
      if (ejected !== null || !failures?.pace) return [];
      return this.#judged(entry, member, judgePace(failures, ejection, usual), now) ?? [];
    });
  }

  #judged(entry: Entry, member: Member, { record, why }: Look, now: number): EventBody | null {
    const { passive } = member;
    const { ejection } = healthRulesOf(entry.service);
    if (ejection === false) return null;
    passive.failures = record;
    const others = entry.members.filter(({ passive: { ejected } }) => ejected !== null).length;
    if (why === null || !serves(member.health.state) || !mayEject(ejection, others, entry.members.length)) return null;
    // One that fails often is better than none.
    if (!entry.members.some((m) => m !== member && serves(shownState(m)) && weightOf(m) > 0)) return null;
    passive.failures = eject(record, ejection, now);
    passive.ejected = why;
    const seconds = Math.round((passive.failures.until! - now) / 1000);
    return this.#moved(entry, member, member.health.state, `ejected for ${seconds} s: ${why}`);
  }

  /** Weights that grow with time; true when the service's snapshot is a new one. */
  warm(entry: Entry, now: number): boolean {
    const rules = healthRulesOf(entry.service);
    const warming = entry.members.filter(({ passive }) => passive.warmingSince !== null);
    if (warming.length === 0) return false;
    for (const { passive } of warming) {
      // Later than now: the clock was set back.
      passive.warmingSince = Math.min(passive.warmingSince!, now);
      if (warmth(passive, rules, now) === 1) passive.warmingSince = null;
    }
    this.#renew(entry);
    return true;
  }

  #moved(entry: Entry, member: Member, from: Change["from"], detail: string): EventBody | null {
    const to = shownState(member);
    if (to === from) return null;
    return this.#changed(entry, member, {
      from,
      to,
      code: "SLUICE_BACKEND_EJECTED",
      detail,
      progress: null,
      latency: null,
    });
  }

  #newMember(id: number, config: BackendConfig, service: Service, followed: Followed | null): Member {
    const words = stillSaid(this.#wordsBefore[service.name]?.[identity(config)], config, Date.now());
    const health = initialHealth(service.check, words.admin?.is ?? config.admin, this.#lastKnown.of(service, config));
    return {
      id,
      name: config.url ?? backendName(config),
      config,
      followed,
      pace: unknownPace,
      words,
      health,
      passive: freshPassive(),
      reported: silent,
      last: null,
      since: Date.now(),
      leaving: false,
    };
  }

  #find(key: string): [Entry, Member] | [undefined, undefined] {
    const slash = key.lastIndexOf("/");
    const entry = this.#entries.get(key.slice(0, slash));
    const member = entry?.members.find(({ id }) => id === Number(key.slice(slash + 1)));
    return entry && member ? [entry, member] : [undefined, undefined];
  }

  #renew(entry: Entry, now = Date.now()): void {
    const { revision, generation } = entry.snapshot;
    entry.snapshot = toSnapshot(entry.service, entry.members, revision, generation + 1, now);
  }

  #changed(entry: Entry, member: Member, change: Change, warms = true): EventBody {
    // Who comes back by a check or a word has been out: what failed before counts no more.
    if (serves(change.to)) member.passive.ejected = null;
    member.since = Date.now();
    const slow = warms && healthRulesOf(entry.service).slowStart > 0 && serves(change.to);
    member.passive.warmingSince = slow ? member.since : null;
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

/** Is it another service? */
const follows = ({ config }: Member): boolean => config.follows !== undefined;

/** Health of a backend that is another service: alive while that one has an eligible backend. Null: as it was, or none. */
function settleFollower(member: Member, entries: ReadonlyMap<string, Entry>): Step | null {
  const { follows } = member.config;
  if (follows === undefined) return null;
  const alive = (entries.get(follows)?.snapshot.eligible.length ?? 0) > 0;
  if (member.health.checked && member.health.alive === alive) return null;
  return setAlive(member.health, alive, `service ${follows} has ${alive ? "an" : "no"} eligible backend`);
}
