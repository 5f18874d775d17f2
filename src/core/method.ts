import type { z } from "zod";
import type { Code } from "./codes.ts";
import type { CounterName, Counts } from "./counters.ts";
import type { HostChange } from "./host-change.ts";
import type { Counted } from "./most-wanted.ts";
import type { Problem, Result } from "./problem.ts";
import type { Face, Scheduler, SchedulerDefinition, SchedulerEnv } from "./scheduler.ts";
import type { Geography, GuardLists, MethodName, Protocol, Revision, Service } from "./service.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Trouble } from "./trouble.ts";
import type { Assignment } from "./worker-protocol.ts";

/** Under which name a method's own counts lie among those of services: no service may be called so. */
export const tallyName = (method: MethodName): string => `#${method}`;

/** What a host must offer. `doctor` knows how to test each. */
export type Capability = "CAP_NET_ADMIN" | "CAP_BPF" | "CAP_NET_BIND_SERVICE" | "xdp" | "nftables";

/** What a method is, declared: shared code reads these and never branches on a name. */
export interface Traits {
  face: Face;
  /** Whose load a load-aware scheduler could read: the method's own count, or only what backends report. */
  load: "own" | "reported";
  seesResponses: boolean;
  /** May a backend's port differ from the listener's? */
  translatesPort: boolean;
  preparesRealServer: boolean;
  /** Probe the backend's own address, or the VIP at that backend by the same rewriting as traffic. */
  checks: "backend" | "vip-at-backend";
  needs: readonly Capability[];
  /** What it can know; all else is null in status. */
  counts: readonly CounterName[];
  /** Does it take `names`, and must it have some? */
  names: "required" | "optional";
  /** Where clients arrive: at `listen` of the service, or at the method's own `settings`. */
  arrival: "listen" | "settings";
  protocols: readonly Protocol[];
  /** Can it choose by the client's place (`nearest`)? */
  places: boolean;
  defaultScheduler: string;
}

/** A method as the catalog holds it. `O`: its own options. `C`: what `compile` makes for the one who applies it. */
export interface Method<O = unknown, C = unknown> {
  readonly name: MethodName;
  readonly summary: string;
  readonly layer: 2 | 3 | 4 | 7;
  readonly runs: "worker" | "kernel";
  /** Schema of the service's own key (`nat: {...}`); an absent key is parsed as `{}`. */
  readonly options: z.ZodType<O>;
  /** Schema of the top-level key of this name, when the method has one. */
  readonly settings?: z.ZodType;
  /** What it counts that belongs to no service; each has a cell in every worker, reached by `cells(tallyName(name))`. */
  readonly tallies?: readonly Code[];
  /** Sockets that the supervisor makes for it, besides `listen`. Runs: "worker" only. */
  sockets?(services: readonly Service<O>[], settings: unknown): import("./service.ts").Listener[];
  readonly traits: Traits;
  /** What this method cannot do of what this service asks; paths are relative to the service. */
  judge(service: Service<O>): Problem[];
  /**
   * Problems between services of this method, with its settings, or with the places (both absent while they do not
   * parse); paths begin with the service's name.
   */
  judgeTogether?(services: readonly Service<O>[], settings?: unknown, geography?: Geography): Problem[];
  /** Pure but for the file that `geography` names; golden-tested. */
  compile(service: Service<O>, snapshot: Snapshot, revision: RevisionFacts): C;
  /** What applying these would change on the host, besides sockets. Pure given the host's facts. */
  changes?(compiled: readonly C[], host: HostFacts): HostChange[];
  /** Why a question (`{ name, type, from }` …) gets the answer it gets, from the state at hand. Loaded lazily. */
  explain?(): Promise<Explain>;
  /** Does a service choose by how fast checks are answered (`Backend.latency`)? Default: no. */
  readsLatency?(service: Service<O>): boolean;
  /** Groups of backends that one is chosen of, for services that have such, outer ones first. Pure. */
  groups?(service: Service<O>, snapshot: Snapshot, geography: Geography): GroupState[];
  /** Kernel methods: does the kernel's own path take this service's packets, behind the XDP data plane? Default: no. */
  behindPlane?(service: Service<O>): boolean;
  /** Loaded lazily: no other process than its own needs it. `runs: "kernel"` has `control`, `runs: "worker"` has `worker`. */
  control?(doors: Doors): Promise<Applier<C>>;
  keeper?(): Promise<SecretKeeper>;
  worker?(): Promise<WorkerSide>;
  /** What answers in the kernel before its workers are asked. Runs: "worker" only; loaded lazily. */
  fastPath?(doors: Doors): Promise<FastPath>;
}

/** How a group of backends stands. */
export interface GroupState {
  /** Its name and those of the groups around it: `east/main`. */
  path: string;
  /** Backends that are up, of those that no operator has taken out. */
  up: number;
  of: number;
  /** May it be chosen? */
  good: boolean;
}

/** What a fast path is told of the revision that runs. */
export interface Running {
  services: readonly Service[];
  snapshot(service: string): Snapshot;
  settings: unknown;
  geography: Geography;
  /** The one that the workers serve: an older one when they went on serving over a reload. */
  revision: number;
  seed: number;
  epoch: number;
}

/** Adds to a service (`backend` -1) or to a backend. */
export type AddCount = (service: string, backend: number, counter: CounterName, amount: number) => void;

/**
 * Answers in the kernel what is plain, as the workers would; what it leaves alone reaches them. It never refuses a
 * revision: where it cannot run the workers serve everything, and `describe` says why.
 */
export interface FastPath {
  /** Everything anew, by one swap; resolves when it is in force. */
  follow(running: Running): Promise<void>;
  /** A health or weight change of one service; in force when this returns. */
  changed(snapshot: Snapshot): void;
  /** Tells what was counted since it was asked last. */
  takeCounts(add: AddCount): void;
  describe(): string[];
  /** Stops touching the kernel; soon everything reaches the workers. */
  release(): Promise<void>;
  /** Removes all it ever set. */
  remove(): Promise<void>;
}

/** What `compile` may know of the revision. */
export interface RevisionFacts extends Pick<Revision, "number" | "seed"> {
  geography: Geography;
  guard?: GuardLists;
}

/** What is known when something is explained: one method's services, their snapshots, the method's settings. */
export interface Explained {
  services: readonly Service[];
  snapshots: readonly Snapshot[];
  settings: unknown;
  geography: Geography;
  /** Of the running revision; any number where nothing runs. */
  seed: number;
}

/** Sentences in the order of the decision, the last one the outcome; a problem when the question itself is wrong. */
export type Explain = (state: Explained, question: Readonly<Record<string, string>>) => Result<string[]>;

/** What `changes` may know of the host. */
export interface HostFacts {
  instance: string;
  /** The device towards an address, and the source address the kernel would use; null when there is no route. */
  route(address: string): { device: string; source: string; via: string | null } | null;
  /** The devices that hold or border an address (its on-link network). */
  deviceOf(address: string): string | null;
}

/** What a kernel method's applier may touch. The implementations live in `system/` and `dataplane/`. */
export interface Doors {
  instance: string;
  /** `/run/sluice/NAME` */
  runDir: string;
  /** `/sys/fs/bpf/sluice/NAME` */
  bpfDir: string;
  facts: HostFacts;
  schedulers: (name: string) => SchedulerDefinition;
  /** Applies through the journal; throws SluiceError. */
  change(changes: readonly HostChange[]): Promise<void>;
  undo(changes: readonly HostChange[]): Promise<void>;
  log(level: "debug" | "info" | "warn" | "error", message: string, fields?: Record<string, unknown>): void;
  /** A standby director prepares everything but neither holds nor announces its VIPs. */
  standby: boolean;
}

/** Applies compiled services of one kernel method. */
export interface Applier<C> {
  /** Everything that can fail: BPF load, `nft -c`, addresses. `next` is the method's whole set; what is absent goes. */
  prepare(next: readonly C[]): Promise<Prepared | Problem[]>;
  /** A health or weight change of some services: never touches the others. */
  refresh(changed: readonly C[]): Promise<void>;
  /** Takes or gives up the VIPs. */
  setRole?(role: "active" | "standby"): Promise<void>;
  counts(): Promise<CountsByService>;
  /** `xdp native on eth0`, for the status of a service. */
  describe(service: string): string[];
  /** What is wrong around a service now. */
  troubles?(service: string): Trouble[];
  /** Source port to use for a probe of the VIP at a backend; see traits.checks. */
  probe?(
    service: string,
    backend: number,
  ): { address: string; port: number; source: { address: string; port: number } } | null;
  /** Joins the private network namespace of process `pid` (the VIP checker) to the data plane. */
  joinChecker?(pid: number): Promise<void>;
  /** Stops touching the kernel; what is pinned goes on forwarding. */
  release(): Promise<void>;
  /** Removes all it ever set. */
  remove(): Promise<void>;
}

/** By a service's name; looked up when asked for, since those of very many backends take their time. */
export type CountsByService = Pick<ReadonlyMap<string, KernelCounts>, "get">;

export interface KernelCounts {
  service: Partial<Counts>;
  backends: Map<number, Partial<Counts>>;
  drops: Partial<Record<Code, number>>;
  /** Share of new work of each backend, by id, where the kernel side moves weights by itself. */
  shares?: Map<number, number>;
}

export interface Prepared {
  /** Cannot fail. */
  commit(): void | Promise<void>;
  abort(): Promise<void>;
}

/** The cells of one service in this worker's counter memory. */
export interface ServiceCells {
  /** Adds to the service (`backend` -1) or to a backend. No allocation. */
  add(backend: number, counter: number, amount: number): void;
  /** A backend's `active`, summed over all workers. */
  activeEverywhere(backend: number): number;
  /** The service's `queued`, summed over all workers. */
  queuedEverywhere(): number;
}

/** Counts what is held at the moment, by name, over all workers of the instance. */
export interface Crowd {
  /** The number under which a name is counted. */
  keyOf(name: string): number;
  /** One more; returns how many all workers hold now, this one included. */
  enter(key: number): number;
  leave(key: number): void;
}

/** A service's schedulers follow its snapshots; made by `schedulers/follow.ts`, handed to the worker side. */
export interface Balancer {
  readonly snapshot: Snapshot;
  /** Backend id, or -1. */
  pick(key: number, tried: ReadonlySet<number>): number;
  /** Backend ids, best first. */
  order(key: number): readonly number[];
  /** From here on `returned` tells whether the turns taken since have come round. */
  mark(): void;
  /** Would the turns taken since `mark` be taken again, the same ones? False where nobody knows. */
  returned(): boolean;
  began(backend: number): void;
  ended(backend: number, outcome: import("./scheduler.ts").Outcome): void;
  update(snapshot: Snapshot): void;
  backend(id: number): import("./backend.ts").Backend | undefined;
}

export interface WorkerDoors {
  balancer(service: string): Balancer;
  cells(service: string): ServiceCells;
  /** For limits that hold over all workers. Names of different kinds begin with different words. */
  readonly crowd: Crowd;
  observed(service: string, backend: number, why: Code): void;
  /** What clients of a service have asked for most since the last time. */
  wanted(service: string, counted: readonly Counted[]): void;
  log(level: "debug" | "info" | "warn" | "error", message: string, fields?: Record<string, unknown>): void;
  now(): number;
}

/**
 * Keeps what workers need and the configuration must not hold, such as keys: in the daemon, which may read it. What it
 * gives goes to workers over their pipe, and nowhere else.
 */
export interface SecretKeeper {
  /**
   * Brings it to the present for these services: JSON, the same object while nothing has changed; or the problems that
   * refuse the revision. Called again every few seconds. `say` is told what happened.
   */
  keep(services: readonly Service[], settings: unknown, say: (text: string) => void): Result<unknown>;
  /** Lines for `status`. No secrets. */
  describe(): string[];
}

/** UDP sessions on their way from one worker to another: `text` is `HandedSessions` as JSON, `fds` are their sockets. */
export interface SessionPacket {
  text: string;
  fds: number[];
}

/** What anybody may know of a packet of sessions. */
export interface HandedSessions {
  /** The socket that their clients send to, named by `socketIdentity`. */
  socket: string;
  service: string;
}

/** Serves all services of one method in one worker. `services`, `settings`, `sockets` of the assignment are already filtered. */
export interface WorkerSide {
  serve(assignment: Assignment, doors: WorkerDoors): Promise<Serving>;
}

export interface Serving {
  /** The balancer of that service has been updated; drop what hangs on backends that are gone. */
  changed?(service: string): void;
  /** Log files have been moved away: open them anew. */
  reopen?(): void;
  /** What the method's keeper gives has changed. */
  secrets?(value: unknown): void;
  /** Takes no more datagrams at these sockets (named by `socketIdentity`; null: all) and gives away the sessions there. */
  handOver?(sockets: readonly string[] | null): SessionPacket[];
  /** Goes on with sessions that another worker has given away. */
  takeOver?(packet: SessionPacket): Promise<void>;
  /** No more sessions come (`Assignment.waits`): takes datagrams from now on. */
  open?(): void;
  /** Stops accepting; resolves when the last piece of work is done, at the latest after `deadlineMs`. */
  drain(deadlineMs: number): Promise<void>;
}

export type { Scheduler, SchedulerEnv };
/** Checks a method's shape at compile time and gives it its type. */
export const defineMethod = <O, C>(method: Method<O, C>): Method<O, C> => method;
