import type { Catalog } from "../catalog.ts";
import type { Verdict } from "../core/check.ts";
import type { EventBody } from "../core/event.ts";
import { hashText } from "../core/hash.ts";
import { inTurn } from "../core/in-turn.ts";
import type { Doors, Method } from "../core/method.ts";
import type { Problem } from "../core/problem.ts";
import type { Config, Revision, Service, StartConfig } from "../core/service.ts";
import type { EventLog } from "../observe/events.ts";
import { type Instance, memoryName, STATE_FILE } from "../system/instance.ts";
import { Book } from "./book.ts";
import { changesOf, sameBackends } from "./changes.ts";
import { Checkers } from "./checkers.ts";
import { askedAgent, assignChecks } from "./checking.ts";
import { FastSide } from "./fast-side.ts";
import { Groups } from "./groups.ts";
import { KernelSide } from "./kernel-side.ts";
import { foundBy, LastKnown } from "./last-known.ts";
import { type FailedService, LeftOut } from "./left-out.ts";
import { connectionLimit } from "./limits.ts";
import { prepareLogFiles } from "./log-files.ts";
import type { Entry } from "./member.ts";
import { firstVerdicts, Newcomers } from "./newcomers.ts";
import { Notes } from "./notes.ts";
import { Operator } from "./operator.ts";
import { adoptOrphans, WORKERS_FILE, writeWorkers } from "./orphans.ts";
import { Wanted } from "./wanted.ts";
import { Watch, type WatchDoors } from "./watch.ts";
import { WorkerSide } from "./worker-side.ts";

export interface SupervisorOptions {
  instance: Instance;
  catalog: Catalog;
  events: EventLog;
  doorsOf(method: Method): Doors;
  log: Doors["log"];
  standby: boolean;
  /** Of the configuration that it will start with. */
  start?: StartConfig | undefined;
  /** Worker processes. */
  workers: number;
}

/** ms that a handover waits for a worker that is being replaced: less than the next daemon's patience. */
const SETTLE_LIMIT = 5000;

/** Runs revisions: the one place where configuration, health, workers and the kernel meet. */
export class Supervisor {
  readonly book: Book;
  readonly kernel: KernelSide;
  readonly workers: WorkerSide;
  readonly fast: FastSide;
  readonly #options: SupervisorOptions;
  readonly wanted = new Wanted();
  readonly #checkers: Checkers;
  readonly #watch: Watch;
  readonly operator: Operator;
  readonly groups: Groups;
  readonly started = Date.now();
  revision: Revision | null = null;
  role: "active" | "standby";
  readonly #notes: Notes;
  readonly #newcomers: Newcomers;
  /** Is what an earlier daemon had found served without waiting for checks? */
  readonly #trusted: boolean;
  readonly #leftOut: LeftOut;
  readonly #alone = inTurn();
  /** Asked twice, it leaves once. */
  #left: Promise<void> | null = null;
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { instance, catalog } = options;
    this.role = options.standby ? "standby" : "active";
    this.#notes = new Notes(
      instance,
      () => ({ found: foundBy(this.book.entries.values()), words: this.operator.said }),
      {
        unreadable: () =>
          options.log("warn", "what an earlier daemon has left cannot be read: starting without", { file: STATE_FILE }),
        unwritten: (why) => this.#unwritten(STATE_FILE, why),
      },
    );
    const { ids, found, words } = this.#notes.kept;
    this.#trusted = this.#notes.trusted(options.start, Date.now());
    const methodOf = ({ method }: Service) => catalog.methods.find(({ name }) => name === method);
    this.book = new Book(
      ids,
      new LastKnown(found, this.#trusted),
      words,
      (service) => methodOf(service)?.readsLatency?.(service) ?? false,
    );
    this.#leftOut = new LeftOut(this.#record, (service) => this.book.entry(service) !== undefined);
    this.#newcomers = new Newcomers(this.book, () => this.#assignChecks());
    this.kernel = new KernelSide(catalog.methods, options.doorsOf);
    this.workers = new WorkerSide(memoryName(instance), catalog.methods, options.workers, {
      observed: (service, backend) => this.#watch.failed(service, backend),
      wanted: (service, counted) => this.wanted.add(service, counted),
      failed: (service, problem) => this.#record({ kind: "service", service, what: "failed", problem }),
      worker: (pid, what, detail) => this.#workerEvent({ kind: "worker", pid, what, detail }),
      spawned: () => this.#writeWorkers(),
      say: (text) => this.#options.log("info", text),
      snapshots: (services) => services.map(({ name }) => this.#snapshotFor(name)),
    });
    this.fast = new FastSide(catalog.methods, options.doorsOf, this.workers.memory);
    const geography = () => this.revision?.config.geography ?? { places: {} };
    this.groups = new Groups(catalog.methods, geography, this.#record);
    const [changed, spread] = [this.#changed.bind(this), this.#spread.bind(this)];
    const tally: WatchDoors["tally"] = ({ service }, { id }) => this.workers.tally(service.name, id);
    this.#watch = new Watch(this.book, { tally, changed, spread, record: this.#record });
    this.operator = new Operator(this.book, { changed, spread, done: () => this.#told() });
    this.#checkers = new Checkers({
      verdict: (key, verdict) => this.#judged(key, verdict),
      join: (pid) => this.kernel.join(pid),
      lost: (pid, what, detail) => this.#record({ kind: "checker", pid, what, detail }),
    });
  }

  /** Services that are left out because they could not start. */
  get failed(): readonly FailedService[] {
    return this.#leftOut.all;
  }

  /** The first revision: services that cannot start are left out, said, and tried again. */
  async start(config: Config, bundle: string | null): Promise<Problem[]> {
    if (config.secret !== undefined) this.#notes.kept.seed = hashText(config.secret, 0);
    const orphans = adoptOrphans(this.#options.instance, this.workers.sockets);
    this.workers.elders = orphans.leave;
    // Probes from the host's own network come first, so that nothing is served before it is known who is alive.
    this.book.commit(this.book.stage(config, this.#notes.kept.revision));
    this.#assignChecks();
    this.workers.expect(config);
    const probed = [...this.book.entries.values()].filter(({ service }) => this.#probedFromHost(service));
    await firstVerdicts(probed, this.#trusted);
    const problems = await this.#alone(() => this.#applyTolerant(config, bundle));
    orphans.release();
    if (problems.length > 0) return problems;
    // Tables are filled once, from all first verdicts: a table that grows backend by backend opens windows for nobody,
    // and two directors that start beside each other would not choose alike.
    await firstVerdicts([...this.book.entries.values()], this.#trusted);
    this.#starting = false;
    this.#notes.soon();
    for (const entry of this.book.entries.values()) this.#refresh(entry);
    await this.kernel.idle();
    return [];
  }

  /** A new revision, whole or not at all. Returns the problems that refused it. */
  async apply(config: Config, bundle: string | null): Promise<Problem[]> {
    const running = this.revision;
    const problems = await this.#alone(() => this.#applyProbed(config, bundle));
    if (problems.length === 0) this.#leftOut.become([]);
    // What could not start before is still to be tried: the attempt stopped the clock.
    else if (running) this.#retryLater(running.config, running.bundle);
    if (problems.length > 0)
      this.#record({
        kind: "revision",
        revision: this.#notes.kept.revision + 1,
        outcome: "refused",
        problems,
        changes: [],
      });
    return problems;
  }

  /** Access logs have been moved away: makes new files, and has all workers open them. */
  reopenLogs(): void {
    for (const { message } of prepareLogFiles(this.revision?.config.services ?? []))
      this.#options.log("error", "access log cannot be opened", { why: message });
    this.workers.reopenLogs();
  }

  /** Takes the VIPs (`active`) or gives them up (`standby`). */
  async setRole(role: "active" | "standby"): Promise<void> {
    if (role === this.role) return;
    await this.kernel.setRole(role);
    this.role = role;
    const what = role === "active" ? "promoted" : "demoted";
    for (const entry of this.book.entries.values())
      if (this.kernel.methodOf(entry)) this.#record({ kind: "role", service: entry.service.name, what });
  }

  /**
   * Leaves everything running for the next daemon: workers serve on and keep their sockets, the kernel's path stays.
   * What is known goes to disk. Afterwards this process has nothing left to do but end.
   */
  handOver(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  async #leave(): Promise<void> {
    this.#stopping = true;
    this.#leftOut.pause();
    this.#checkers.stop();
    this.#watch.stop();
    this.operator.stop();
    this.workers.secrets.stop();
    await this.#alone(async () => {});
    await this.workers.settled(SETTLE_LIMIT);
    this.workers.spare.stop();
    this.#notes.write();
    this.#writeWorkers();
    await this.fast.release();
    await this.kernel.release();
  }

  /** Drains the workers, then removes what was set on the host (`keep`: leaves the kernel's path running). */
  async stop(keep: boolean): Promise<void> {
    this.#stopping = true;
    this.#notes.stop();
    this.#leftOut.pause();
    this.#checkers.stop();
    await this.#alone(async () => {});
    if (keep) await this.fast.release();
    else await this.fast.remove();
    await this.workers.drain(this.revision?.config.drain ?? 0);
    if (keep) await this.kernel.release();
    else await this.kernel.remove();
  }

  async #applyTolerant(config: Config, bundle: string | null): Promise<Problem[]> {
    let left = config;
    const failed: FailedService[] = [];
    for (;;) {
      const problems = await this.#apply(left, bundle, config);
      const named = problems.filter(({ path }) => path[0] === "services");
      if (problems.length === 0) break;
      if (named.length < problems.length) return problems;
      for (const problem of named) failed.push({ service: String(problem.path[1]), problem });
      // Tried in vain: what would run without them runs.
      if (this.revision?.config === config && this.#leftOut.are(failed)) break;
      left = { ...left, services: left.services.filter(({ name }) => !failed.some((f) => f.service === name)) };
      if (left.services.length === 0 && this.revision === null) return failed.map(({ problem }) => problem);
    }
    this.#leftOut.become(failed);
    this.#retryLater(config, bundle);
    return [];
  }

  async #applyProbed(config: Config, bundle: string | null): Promise<Problem[]> {
    const { revision } = this.#notes.kept;
    await this.#newcomers.probe(config, revision, (service) => this.#probedFromHost(service), this.#trusted);
    const problems = await this.#apply(config, bundle, config);
    if (problems.length === 0) this.#newcomers.accept();
    else this.#newcomers.refuse(config, revision);
    return problems;
  }

  #probedFromHost({ method }: Service): boolean {
    return this.#options.catalog.methods.some(({ name, traits }) => name === method && traits.checks === "backend");
  }

  #retryLater(config: Config, bundle: string | null): void {
    if (!this.#stopping) this.#leftOut.retry(() => void this.#alone(() => this.#applyTolerant(config, bundle)));
  }

  /** Prepare, then commit. `whole` is what was asked for, of which `config` may be the part that can start. */
  async #apply(config: Config, bundle: string | null, whole: Config): Promise<Problem[]> {
    this.#leftOut.pause();
    const number = this.#notes.kept.revision + 1;
    const { seed, epoch } = this.#notes.kept;
    const revision: Revision = { number, seed, epoch, config, bundle };
    const prepared = this.book.stage(config, number).entries;
    this.#preparing = prepared;
    const committed = await this.#prepareAndCommit([...prepared.values()], revision);
    this.#preparing = null;
    if (committed.length > 0) return committed;
    this.workers.drainLimit = config.drain;
    // Verdicts have come while things were prepared: what the book says now holds, and whoever got older news hears it.
    const staged = this.book.stage(config, number);
    this.book.commit(staged);
    const changes = changesOf(this.revision?.config ?? null, config, this.#options.catalog);
    this.revision = { ...revision, config: whole };
    Object.assign(this.#notes.kept, { revision: number, ids: staged.ids });
    this.#notes.write();
    this.#notes.follow(config.start);
    this.#record({ kind: "revision", revision: number, outcome: "running", problems: [], changes });
    this.#writeWorkers();
    this.#tell([...staged.entries.values()].map(({ snapshot }) => snapshot));
    for (const entry of staged.entries.values()) {
      this.groups.look(entry);
      if (!sameBackends(entry, prepared.get(entry.service.name)!)) this.#refresh(entry);
    }
    this.fast.follow([...staged.entries.values()], (name) => this.book.entry(name)!, revision, this.workers.revision);
    this.#assignChecks();
    for (const entry of await this.#newcomers.succeed(this.#trusted)) this.#spread(entry);
    return [];
  }

  /** Everything that can fail, then everything that cannot. Returns what failed; nothing has changed then. */
  async #prepareAndCommit(entries: readonly Entry[], revision: Revision): Promise<Problem[]> {
    const unopened = prepareLogFiles(revision.config.services);
    if (unopened.length > 0) return unopened;
    const kernel = await this.kernel.prepare(entries, revision);
    if (Array.isArray(kernel)) return kernel;
    const workers = await this.workers.prepare(entries, revision, connectionLimit());
    if (Array.isArray(workers)) {
      await kernel.abort();
      return workers;
    }
    await kernel.commit();
    workers.commit();
    return [];
  }

  /** Entries of the revision being prepared: its workers ask for snapshots before it is committed. */
  #preparing: ReadonlyMap<string, Entry> | null = null;

  #snapshotFor(service: string): Entry["snapshot"] {
    return (this.#preparing?.get(service) ?? this.book.entry(service))!.snapshot;
  }

  #assignChecks(): void {
    if (!this.#stopping) assignChecks(this.book, this.#checkers, this.kernel, this.#options.catalog.methods);
  }

  #judged(key: string, verdict: Verdict): void {
    const asked = askedAgent(key);
    if (asked !== null) {
      const event = this.book.agentSaid(asked, verdict);
      this.#changed(event);
      // Into maintenance and out of it: probes pause, and go on.
      if (event) this.#assignChecks();
      return;
    }
    const service = key.slice(0, key.lastIndexOf("/"));
    const before = this.book.entry(service)?.snapshot;
    const event = this.book.verdict(key, verdict);
    const entry = this.book.entry(service);
    if (event) this.#changed(event);
    // Nobody's state changed, but one may soon: what workers say of the future (a TTL) hangs on it, tables do not.
    else if (entry && entry.snapshot !== before) this.#tell([entry.snapshot]);
  }

  /** A backend's state changed: say it, and give everyone the new snapshot. */
  #changed(event: EventBody | null): void {
    if (event?.kind !== "backend") return;
    this.#record(event);
    this.#spread(this.book.entry(event.service)!);
    // While it starts one verdict follows the other; what it has found by then is written down once.
    if (!this.#starting) this.#notes.soon();
  }

  /** Operators have said something: who is probed may be others. */
  #told(): void {
    this.#assignChecks();
    this.#notes.write();
  }

  #tell(snapshots: readonly Entry["snapshot"][]): void {
    this.workers.tell(snapshots);
    for (const snapshot of snapshots) this.fast.tell(snapshot);
  }

  #spread(entry: Entry): void {
    if (this.#newcomers.has(entry.service.name)) return;
    // Before the first revision runs there is nobody to tell; what is in force then is told all of them.
    if (this.revision !== null) {
      this.groups.look(entry);
      this.#tell([entry.snapshot]);
      this.#refresh(entry);
    }
    for (const event of this.book.follow(entry.service.name)) this.#changed(event);
  }

  #starting = true;

  #refresh(entry: Entry): void {
    if (this.revision && !this.#starting && this.kernel.methodOf(entry)) this.kernel.refresh(entry, this.revision);
  }

  #workerEvent(event: EventBody): void {
    this.#record(event);
    this.#writeWorkers();
  }

  #writeWorkers(): void {
    try {
      writeWorkers(this.#options.instance, this.workers.describe());
    } catch (error) {
      this.#unwritten(WORKERS_FILE, error);
    }
  }

  #unwritten(file: string, why: unknown): void {
    this.#options.log("error", "what the next daemon is to know cannot be written down", { file, why });
  }

  readonly #record = (event: EventBody): void => void this.#options.events.record(event);
}
