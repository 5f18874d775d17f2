import type { Tally } from "../checks/ejection.ts";
import type { CellRange } from "../core/counters.ts";
import { type Method, tallyName } from "../core/method.ts";
import type { Problem } from "../core/problem.ts";
import { type Config, type Listener, listenerName, type Revision, type Service } from "../core/service.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Trouble } from "../core/trouble.ts";
import { sleep } from "../runtime/clock.ts";
import { Generation, type GenerationEvents, START_LIMIT, type Work } from "./generation.ts";
import { leastFiles, openFiles } from "./limits.ts";
import type { Entry } from "./member.ts";
import { CounterMemory } from "./memory.ts";
import { Secrets, type SecretsByMethod } from "./secrets.ts";
import type { Leaver } from "./sessions.ts";
import { SocketTable } from "./sockets.ts";
import { type BlankWorker, canServe, Spare } from "./spare.ts";

/** Generations that may be alive at once; the oldest is then cut. */
const MOST_GENERATIONS = 4;

/** Workers a generation may grow to by reload without a restart, at least. */
const LEAST_ROOM = 8;

const TALLIED = ["requests", "active", "failures", "waited"] as const;

/** A generation that is ready beside the current one. */
export interface PreparedGeneration {
  commit(): void;
  abort(): void;
}

/** Services of the methods that run in workers: sockets, counter memory, and the generations that serve. */
export class WorkerSide {
  readonly memory: CounterMemory;
  readonly sockets = new SocketTable();
  readonly secrets: Secrets;
  readonly spare: Spare;
  readonly #methods: readonly Method[];
  #count: number;
  readonly #most: number;
  readonly #events: GenerationEvents;
  #current: Generation | null = null;
  #draining: Generation[] = [];
  /** Not yet the current one: its workers serve already. */
  #preparing: Generation | null = null;

  /** `memory`: name of the counter memory. */
  constructor(memory: string, methods: readonly Method[], count: number, events: GenerationEvents) {
    this.secrets = new Secrets(methods, events.say);
    this.#methods = methods.filter(({ runs }) => runs === "worker");
    this.#count = count;
    this.#most = Math.max(count, LEAST_ROOM);
    this.#events = events;
    this.memory = new CounterMemory(memory, this.#most * (MOST_GENERATIONS + 2));
    this.spare = new Spare(this.memory.fd);
  }

  /** Processes that were started before there was work for them. */
  #early: BlankWorker[] = [];

  /** Starts the workers' processes of a first revision: they read their files while its first checks are awaited. */
  expect({ services, workers }: Config): void {
    const used = this.#methods.filter(({ name }) => services.some(({ method }) => method === name));
    const count = workers ?? navigator.hardwareConcurrency;
    if (used.length === 0 || count > this.#most) return;
    const methods = used.map(({ name }) => name);
    this.#early = Array.from({ length: count }, () => this.spare.take(methods));
  }

  /** Makes sockets and workers for these entries; they accept from the moment they are ready. */
  async prepare(
    entries: readonly Entry[],
    revision: Revision,
    connectionLimit: number,
  ): Promise<PreparedGeneration | Problem[]> {
    const services = entries.map(({ service }) => service);
    const settings = revision.config.settings as Record<string, unknown>;
    const secrets = await this.secrets.of(services, settings);
    if (Array.isArray(secrets)) return secrets;
    const { work, problems } = this.#workOf(entries, revision, connectionLimit, secrets);
    if (problems.length > 0) return problems;
    const follow = (): void =>
      this.secrets.follow(services, settings, secrets, (m, value) => this.#tellSecrets(m, value));
    const current = this.#current;
    const count = revision.config.workers ?? navigator.hardwareConcurrency;
    if (count > this.#most) return [tooMany(count, this.#most)];
    const same = current !== null && count === this.#count && sameWork(current.work, work);
    if (same || work.services.length === 0)
      return {
        commit: () => {
          if (!same) {
            this.#retire(current);
            this.sockets.keep([]);
            this.spare.keep([]);
          }
          for (const [method, value] of Object.entries(secrets)) this.#tellSecrets(method, value);
          follow();
        },
        abort: () => {},
      };
    const [files, least] = [openFiles(), leastFiles(work.listeners.length, count)];
    if (files < least) return [tooFewFiles(files, least)];
    const blanks = await this.#loadedWorkers(work.methods, count);
    if (current === null) await this.sockets.settled(work.listeners);
    // Sockets only now: what comes to one waits until its worker serves.
    const unbound = this.sockets.prepare(work.listeners, count);
    if (unbound.length > 0) {
      for (const blank of blanks) blank.dismiss();
      return this.#blame(unbound, work.services, revision);
    }
    const next = new Generation(work, this.sockets, this.memory, this.spare, this.#events);
    this.#preparing = next;
    const failed = await next.start(blanks);
    if (failed.length > 0) {
      this.#preparing = null;
      this.sockets.rollBack();
      return failed;
    }
    return {
      commit: () => {
        this.#preparing = null;
        this.#current = next;
        this.#count = count;
        follow();
        const leavers = [...(current?.leavers() ?? []), ...this.elders()];
        this.elders = () => [];
        this.#retire(current, next.datagrams);
        void next.inherit(leavers);
        this.sockets.keep(work.listeners);
        this.spare.keep(work.methods);
      },
      abort: () => {
        this.#preparing = null;
        next.kill();
        this.sockets.rollBack();
      },
    };
  }

  /** Processes that have read their files. One that takes too long is named when it is not ready in time. */
  async #loadedWorkers(methods: readonly string[], count: number): Promise<BlankWorker[]> {
    const early = this.#early.splice(0);
    const fit = early.filter((blank) => canServe(blank, methods));
    const blanks = Array.from({ length: count }, () => fit.pop() ?? this.spare.take(methods));
    for (const blank of early) if (!blanks.includes(blank)) blank.dismiss();
    await Promise.race([Promise.all(blanks.map(({ loaded }) => loaded)), sleep(START_LIMIT)]);
    return blanks;
  }

  /** Living workers of every generation hear it, and those that take the place of one that dies. */
  #tellSecrets(method: string, value: unknown): void {
    for (const generation of [...this.#draining, this.#current]) {
      if (!generation?.work.methods.includes(method)) continue;
      generation.work.secrets = { ...generation.work.secrets, [method]: value };
      generation.tell({ kind: "secrets", method, value });
    }
  }

  #workOf(
    entries: readonly Entry[],
    revision: Revision,
    connectionLimit: number,
    secrets: SecretsByMethod,
  ): { work: Work; problems: Problem[] } {
    const used = this.#methods.filter(({ name }) => entries.some(({ service }) => service.method === name));
    const mine = entries.filter(({ service }) => used.some(({ name }) => name === service.method));
    const services = mine.map(({ service }) => service);
    const { cells, problems } = this.#cellsOf(used, mine);
    const work = {
      revision: revision.number,
      seed: revision.seed,
      epoch: revision.epoch,
      bundle: revision.bundle,
      services,
      settings: revision.config.settings,
      geography: revision.config.geography,
      cells,
      connectionLimit,
      secrets,
      log: revision.config.log,
      listeners: used.flatMap((method) => listenersOf(method, services, revision)),
      methods: used.map(({ name }) => name),
    };
    return { work, problems };
  }

  /** Where methods and services count, and the services that find no room. What the running workers write stays. */
  #cellsOf(methods: readonly Method[], entries: readonly Entry[]): { cells: CellRange[]; problems: Problem[] } {
    const kept = [...(this.#current?.work.cells ?? [])];
    const cells: CellRange[] = [];
    const found = (range: CellRange | null): boolean => {
      if (range === null) return false;
      kept.push(range);
      cells.push(range);
      return true;
    };
    for (const { name, tallies } of methods)
      if (tallies) found(this.memory.range(tallyName(name), tallies.length, kept));
    const without = entries.filter(({ service, members }) => {
      const highest = members.reduce((most, { id }) => Math.max(most, id), 0);
      return !found(this.memory.range(service.name, highest, kept));
    });
    return { cells, problems: without.map(({ service }) => noRoom(service.name)) };
  }

  /** Sockets that cannot be made are problems of the services that need them. */
  #blame(unbound: ReturnType<SocketTable["prepare"]>, services: readonly Service[], revision: Revision): Problem[] {
    return unbound.flatMap(({ listener, problem }) => {
      const needing = services.filter((service) =>
        listenersOf(this.#methods.find(({ name }) => name === service.method)!, [service], revision).some(
          (l) => listenerName(l) === listenerName(listener),
        ),
      );
      return needing.map(({ name, listen }) => {
        const at = listen.findIndex((own) => listenerName(own) === listenerName(listener));
        return { ...problem, path: ["services", name, ...(at < 0 ? [] : ["listen", at])] };
      });
    });
  }

  /** `handOver`: the UDP sockets that others serve from now on. */
  #retire(generation: Generation | null, handOver: readonly string[] = []): void {
    if (!generation) return;
    if (this.#current === generation) this.#current = null;
    this.#draining.push(generation);
    while (this.#draining.length >= MOST_GENERATIONS) this.#draining.shift()!.kill();
    const done = (): void => {
      this.#draining = this.#draining.filter((g) => g !== generation);
      this.sockets.forget();
    };
    void generation.drain(this.drainLimit, handOver).then(done);
  }

  /** Tells the workers of an earlier daemon to leave, once, when those that take their place are ready. */
  elders: () => Leaver[] = () => [];

  /** How long a retired generation may live, ms. */
  drainLimit = 30_000;

  /** Changes of health or weight: living workers of every generation hear them. */
  tell(all: readonly Snapshot[]): void {
    for (const generation of [...this.#draining, this.#current]) {
      const snapshots = all.filter(({ service }) => generation?.serves(service));
      if (snapshots.length > 0) generation!.tell({ kind: "snapshots", snapshots });
    }
  }

  /** Drains all generations; resolves when every worker is gone. */
  async drain(deadlineMs: number): Promise<void> {
    this.secrets.stop();
    this.spare.stop();
    const all = [...this.#draining, ...(this.#current ? [this.#current] : [])];
    this.#current = null;
    await Promise.all(all.map((generation) => generation.drain(deadlineMs)));
  }

  reopenLogs(): void {
    for (const generation of [...this.#draining, this.#current]) generation?.tell({ kind: "reopen" });
  }

  /** What the requests of a backend have come to, over all workers that ever were. */
  tally(service: string, backend: number): Tally {
    const { requests, active, failures, waited } = this.memory.counts(service, backend, TALLIED);
    return { successes: requests! - active! - failures!, failures: failures!, waited: waited! };
  }

  /** Number of the revision that the workers were started with. */
  get revision(): number {
    return this.#current?.work.revision ?? 0;
  }

  /** What is wrong around a method's services in the workers that serve now. */
  troubles(method: string): Trouble[] {
    return this.#current?.troubles(method) ?? [];
  }

  get workers(): number {
    return this.#current?.living ?? 0;
  }

  /** Until every worker holds its sockets, for the next daemon takes them from there; at most `limit` ms. */
  async settled(limit: number): Promise<void> {
    for (const end = performance.now() + limit; performance.now() < end; await sleep(20))
      if (this.#current?.whole ?? true) return;
  }

  /** For the next daemon: the living workers and their sockets. */
  describe(): ReturnType<Generation["describe"]> {
    return [...this.#draining, this.#current, this.#preparing].flatMap((generation) => generation?.describe() ?? []);
  }
}

const tooMany = (count: number, most: number): Problem => ({
  code: "SLUICE_WORKER_START",
  severity: "error",
  source: "config",
  path: ["workers"],
  message: `${count} workers are more than the ${most} that this daemon has room for`,
  hint: "Restart the daemon: the room is made at its start.",
});

const tooFewFiles = (files: number, least: number): Problem => ({
  code: "SLUICE_WORKER_START",
  severity: "error",
  source: "kernel",
  path: [],
  message: `${files} open files are too few: the listening sockets alone need ${least}`,
  hint: "Raise the limit: ulimit -n 1048576, or LimitNOFILE= in the unit.",
});

const noRoom = (service: string): Problem => ({
  code: "SLUICE_COUNTER_MEMORY",
  severity: "error",
  source: "config",
  path: ["services", service],
  message: `the memory of counters has no room for service "${service}"`,
  hint: "Run a part of the services by another --instance.",
});

/** The sockets a method needs for its services, each once. */
function listenersOf(method: Method, all: readonly Service[], revision: Revision): Listener[] {
  const services = all.filter((service) => service.method === method.name);
  const wanted =
    method.sockets?.(services, revision.config.settings[method.name]) ?? services.flatMap(({ listen }) => listen);
  return [...new Map(wanted.map((listener) => [listenerName(listener), listener])).values()];
}

/** Would the living workers serve this as well as new ones? Backends are snapshots; all else is a new generation. */
function sameWork(a: Work, b: Work): boolean {
  return fingerprint(a) === fingerprint(b);
}

/** All that a worker cannot learn while it serves: backends come by snapshot, secrets by their own message. */
const fingerprint = ({ services, revision: _revision, secrets: _secrets, ...rest }: Work): string =>
  JSON.stringify([services.map(({ backends: _b, check: _c, agent: _a, ...service }) => service), rest]);
