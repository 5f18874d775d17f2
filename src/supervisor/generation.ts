import type { EventBody } from "../core/event.ts";
import type { Counted } from "../core/most-wanted.ts";
import type { Problem } from "../core/problem.ts";
import type { Listener, Service } from "../core/service.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Trouble } from "../core/trouble.ts";
import {
  type Assignment,
  CHANNEL_END_FD,
  FIRST_SOCKET_FD,
  type FromWorker,
  type ToWorker,
} from "../core/worker-protocol.ts";
import type { Child } from "../runtime/child.ts";
import { closeFd, socketIdentity } from "../runtime/listen.ts";
import type { CounterMemory } from "./memory.ts";
import { type Leaver, passSessions } from "./sessions.ts";
import type { SocketTable } from "./sockets.ts";
import type { BlankWorker, Spare } from "./spare.ts";

/** What every worker of a generation serves; the rest of the assignment is each worker's own. */
export interface Work extends Omit<Assignment, "sockets" | "memory" | "snapshots" | "waits" | "first" | "replaces"> {
  listeners: Listener[];
  methods: string[];
}

type WorkerWord = Extract<EventBody, { kind: "worker" }>["what"];

export interface GenerationEvents {
  observed(service: string, backend: number, why: import("../core/codes.ts").Code): void;
  wanted(service: string, counted: readonly Counted[]): void;
  failed(service: string, problem: Problem): void;
  worker(pid: number, what: WorkerWord, detail: string): void;
  /** A worker's process is there: whoever comes after this daemon must know of it. */
  spawned(): void;
  /** Something a method's keeper has to say. */
  say(text: string): void;
  /** Current snapshots, for a worker that starts late. */
  snapshots(services: readonly Service[]): Snapshot[];
}

interface Worker {
  index: number;
  /** The listening sockets, by its own descriptors. */
  sockets: (Listener & { fd: number })[];
  row: number;
  child: Child<ToWorker>;
  /** Our end of its channel; -1: closed. While it is `leaving` its sessions are read there, also when it is gone. */
  channel: number;
  leaving: boolean;
  /** The UDP sockets that it was given, by name. */
  datagrams: string[];
  /** What it serves without, by method. */
  lacks: Map<string, Problem>;
  state: "starting" | "ready" | "draining" | "gone";
}

/** ms a worker may take to read its files, and again from its assignment to `ready`. */
export const START_LIMIT = 15_000;
/** Replacements within this many ms of a worker's start wait: a worker that dies at once must not spin. */
const QUICK_DEATH = 1000;

/** The workers that serve one revision, one per core. A worker that dies is replaced; no connection is refused. */
export class Generation {
  readonly work: Work;
  readonly #names: ReadonlySet<string>;
  readonly #workers: Worker[] = [];
  readonly #sockets: SocketTable;
  readonly #memory: CounterMemory;
  readonly #spare: Spare;
  readonly #events: GenerationEvents;
  #draining = false;
  /** May its workers take datagrams? Not while those before it do, whose sessions they are. */
  #opened = false;
  #count = 1;

  constructor(work: Work, sockets: SocketTable, memory: CounterMemory, spare: Spare, events: GenerationEvents) {
    this.work = work;
    this.#names = new Set(work.services.map(({ name }) => name));
    this.#sockets = sockets;
    this.#memory = memory;
    this.#spare = spare;
    this.#events = events;
  }

  /** Gives these workers their work; resolves with the problems that kept them from being ready (none: all serve). */
  async start(blanks: readonly BlankWorker[]): Promise<Problem[]> {
    this.#count = blanks.length;
    const started = await Promise.all(blanks.map((blank, index) => this.#employ(blank, index)));
    const problems = started.filter((problem) => problem !== null);
    if (problems.length > 0) this.kill();
    return problems;
  }

  #employ(blank: BlankWorker, index: number, replaces = false): Promise<Problem | null> {
    const row = this.#memory.takeRow(this.work.cells);
    const began = performance.now();
    const held = this.work.listeners.flatMap((listener) =>
      this.#sockets.of(listener, index, this.#count).map((fd) => ({ listener, fd })),
    );
    const sockets = held.map(({ listener }, i) => ({ ...listener, fd: FIRST_SOCKET_FD + i }));
    const { promise: ready, resolve: settle } = Promise.withResolvers<Problem | null>();
    const { child, channel } = blank;
    const udp = held.filter(({ listener }) => listener.protocol === "udp");
    const datagrams = udp.map(({ fd }) => String(socketIdentity(fd)));
    const lacks = new Map<string, Problem>();
    const worker: Worker = { index, sockets, row, state: "starting", child, channel, leaving: false, datagrams, lacks };
    this.#workers.push(worker);
    const limit = setTimeout(
      () => settle(startProblem(`worker was not ready within ${START_LIMIT / 1000} s`)),
      START_LIMIT,
    );
    blank.employ(
      { ...this.#assignment(worker), replaces },
      held.map(({ fd }) => fd),
      {
        message: (message) => this.#hear(worker, message, settle),
        exit: (code, signal) => {
          settle(startProblem(`worker ended with ${signal ?? `code ${code}`} before it was ready`));
          this.#ended(worker, performance.now() - began, signal ?? `code ${code}`, code === 0);
        },
      },
    );
    this.#events.spawned();
    return ready.finally(() => clearTimeout(limit));
  }

  #assignment(worker: Worker): Omit<Assignment, "replaces"> {
    const { listeners: _listeners, methods: _methods, ...work } = this.work;
    return {
      ...work,
      first: worker.index === 0,
      sockets: worker.sockets,
      snapshots: this.#events.snapshots(work.services),
      memory: this.#memory.describe(worker.row),
      waits: !this.#opened,
    };
  }

  #hear(worker: Worker, message: FromWorker, settle: (problem: Problem | null) => void): void {
    if (message.kind === "ready") {
      worker.state = this.#draining ? "draining" : "ready";
      settle(null);
      this.#events.worker(worker.child.pid, "ready", `serves revision ${message.revision}`);
    } else if (message.kind === "failed") {
      settle(message.problem);
      this.#events.failed(message.service, message.problem);
    } else if (message.kind === "lacks") {
      const { method, problem } = message;
      worker.lacks.set(method, problem);
      this.#events.worker(worker.child.pid, "lacking", `${method}: ${problem.code} ${problem.message}`);
    } else if (message.kind === "observed") {
      this.#events.observed(message.service, message.backend, message.why);
    } else if (message.kind === "wanted") {
      this.#events.wanted(message.service, message.counted);
    }
  }

  #ended(worker: Worker, lived: number, how: string, clean: boolean): void {
    const { state } = worker;
    worker.state = "gone";
    if (!worker.leaving) closeChannel(worker);
    this.#workers.splice(this.#workers.indexOf(worker), 1);
    this.#memory.retireRow(worker.row);
    const expected = state === "draining" || (clean && this.#draining);
    this.#events.worker(worker.child.pid, expected ? "exited" : "died", how);
    if (expected || this.#draining || state === "starting") return;
    setTimeout(() => this.#replace(worker.index), lived < QUICK_DEATH ? QUICK_DEATH : 0);
  }

  async #replace(index: number): Promise<void> {
    if (this.#draining) return;
    const problem = await this.#employ(this.#spare.take(this.work.methods), index, true);
    if (problem && !this.#draining) setTimeout(() => this.#replace(index), QUICK_DEATH);
  }

  /** What some of its workers serve a method without. */
  troubles(method: string): Trouble[] {
    const lacking = this.#workers.flatMap(({ lacks }) => lacks.get(method) ?? []);
    if (lacking.length === 0) return [];
    const [{ code, message }] = lacking as [Problem];
    return [{ code, message: `${lacking.length} of ${this.#workers.length} workers: ${message}` }];
  }

  serves(service: string): boolean {
    return this.#names.has(service);
  }

  /** Sends to every living worker. */
  tell(message: ToWorker): void {
    for (const worker of this.#workers) worker.child.send(message);
  }

  /** Goes on with the UDP sessions of workers that have been told to leave, and takes datagrams from then on. */
  async inherit(leavers: readonly Leaver[]): Promise<void> {
    this.#opened = true;
    const heirs = this.#workers.map((worker) => ({
      channel: worker.channel,
      sockets: worker.datagrams,
      gone: () => worker.state === "gone",
      take: () => worker.child.send({ kind: "sessions" }),
      open: () => worker.child.send({ kind: "open" }),
    }));
    await passSessions(leavers, heirs);
  }

  /** Its workers as those that leave, before they are told so. */
  leavers(): Leaver[] {
    const leaving = this.#workers.filter(({ datagrams, state }) => datagrams.length > 0 && state === "ready");
    return leaving.map((worker) => {
      worker.leaving = true;
      const gone = (): boolean => worker.state === "gone";
      const done = (): void => {
        worker.leaving = false;
        if (gone()) closeChannel(worker);
      };
      return { channel: worker.channel, gone, done };
    });
  }

  /** The UDP sockets that its workers serve, by name. */
  get datagrams(): string[] {
    return this.#workers.flatMap(({ datagrams }) => datagrams);
  }

  /**
   * Stops accepting and lets what is under way finish; resolves when all workers are gone, at the latest after the
   * deadline. `handOver`: the UDP sockets whose sessions are given away.
   */
  async drain(deadlineMs: number, handOver?: readonly string[]): Promise<void> {
    this.#draining = true;
    for (const worker of this.#workers) {
      if (worker.state !== "draining")
        this.#events.worker(worker.child.pid, "draining", `for at most ${deadlineMs / 1000} s`);
      worker.state = "draining";
      worker.child.send({ kind: "drain", deadlineMs, ...(handOver ? { handOver } : {}) });
    }
    const gone = Promise.all(this.#workers.map((worker) => worker.child.exited));
    const grace = setTimeout(() => this.kill(), deadlineMs + 1000);
    await gone;
    clearTimeout(grace);
  }

  /** Cuts all at once. */
  kill(): void {
    this.#draining = true;
    for (const worker of this.#workers) worker.child.kill("SIGKILL");
  }

  /** Does every worker hold its sockets? One that starts, or is yet to be replaced, does not. */
  get whole(): boolean {
    return this.#workers.filter(({ state }) => state === "ready").length >= this.#count;
  }

  get living(): number {
    return this.#workers.length;
  }

  /** For the next daemon, should this one die: who holds which sockets. */
  describe(): { pid: number; sockets: (Listener & { fd: number })[]; channel: number }[] {
    return this.#workers.map(({ child, sockets }) => ({ pid: child.pid, sockets, channel: CHANNEL_END_FD }));
  }
}

function closeChannel(worker: Worker): void {
  if (worker.channel >= 0) closeFd(worker.channel);
  worker.channel = -1;
}

function startProblem(message: string): Problem {
  return { code: "SLUICE_WORKER_START", severity: "error", source: "internal", path: [], message };
}
