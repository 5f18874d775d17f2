import type { Backend } from "../core/backend.ts";
import type { Balancer, ServiceCells } from "../core/method.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { FairQueue } from "./fair-queue.ts";
import { Cell } from "./service-state.ts";
import { Timed, type Wheel } from "./wheel.ts";

/** Bounds of what a service's backends get. Times in ms. */
export interface GateRules {
  /** Most requests at one backend, over all workers; Infinity: no limit. */
  readonly perBackend: number;
  /** Requests that may wait for a backend below its limit, over all workers. */
  readonly queueSize: number;
  /** How long one may wait. */
  readonly queueTimeout: number;
  /** Repeats under way, as a part of the requests under way; 0..1. */
  readonly retryShare: number;
  /** Repeats that are always allowed at a time. */
  readonly retryLeast: number;
}

/** What may wait at a gate. */
export interface Waiter {
  /** Whose turn it is in: clients take turns. */
  readonly owner: number;
  /** It has been at a backend that failed it, and may have fewer to go to than the others. */
  readonly again: boolean;
  /** A backend below its limit; NONE: none is eligible; FULL: all are at their limit. */
  seek(): number;
  /** What `seek` found, NONE too. */
  proceed(backend: number): void;
}

export const NONE = -1;
export const FULL = -2;

/** Times that the scheduler is asked again when its choice is full; then any that is free will do. */
const SECOND_CHOICES = 3;
/** How often waiting requests look again: another worker's backend connection may have become free. ms */
const LOOK_AGAIN = 50;

const mayServe = ({ state, weight }: Backend): boolean => weight > 0 && (state === "up" || state === "unchecked");

/**
 * Keeps a service's backends from being flooded: by more requests than they may have at a time, which wait in a fair
 * queue, and by repeats, which may be a part of the requests under way only (Google, Site Reliability Engineering,
 * chapter 21).
 */
export class Gate extends Timed {
  readonly rules: GateRules;
  /** Is there a limit of any backend at all? */
  limited: boolean;
  /** Limits that backends report of themselves, by id: they stand for `perBackend`. */
  private reported = new Map<number, number>();
  /** Requests under way in this worker, and those among them that are repeats. */
  active = 0;
  repeats = 0;
  private readonly queue = new FairQueue<Waiter>();
  /** Those that have been at a backend: one for whom the others are full must not hold up those who have more choice. */
  private readonly again = new Set<Waiter>();
  private readonly cells: ServiceCells;
  private readonly wheel: Wheel;
  private waking = false;

  constructor(rules: GateRules, cells: ServiceCells, wheel: Wheel) {
    super();
    this.rules = rules;
    this.cells = cells;
    this.wheel = wheel;
    this.limited = rules.perBackend !== Number.POSITIVE_INFINITY;
  }

  /** Does anybody wait behind whom a new request stands? */
  get isQueued(): boolean {
    return this.queue.size > 0;
  }

  /** Takes the limits that backends report. */
  follow({ backends }: Snapshot): void {
    this.reported = new Map(backends.flatMap(({ id, limit }) => (limit === undefined ? [] : [[id, limit]])));
    this.limited = this.reported.size > 0 || this.rules.perBackend !== Number.POSITIVE_INFINITY;
    this.freed();
  }

  isFull(backend: number): boolean {
    return this.cells.activeEverywhere(backend) >= (this.reported.get(backend) ?? this.rules.perBackend);
  }

  /** The scheduler's choice among those below their limit; NONE when none is eligible at all, FULL when all are full. */
  pick(balancer: Balancer, key: number, tried: ReadonlySet<number>): number {
    const first = balancer.pick(key, tried);
    if (first < 0 && tried.size > 0) return this.standIn(balancer, tried);
    if (!this.limited || first < 0 || !this.isFull(first)) return first;
    const passed = new Set(tried).add(first);
    for (let i = 0; i < SECOND_CHOICES; i++) {
      const next = balancer.pick(key, passed);
      if (next < 0) return FULL;
      if (!this.isFull(next)) return next;
      passed.add(next);
    }
    const free = (id: number) => !passed.has(id) && !this.isFull(id);
    return balancer.snapshot.eligible.find(free) ?? FULL;
  }

  /** All of the tier in use have failed this request: one of the next tier that serves and has room; else NONE. */
  private standIn({ snapshot }: Balancer, tried: ReadonlySet<number>): number {
    let best: Backend | null = null;
    for (const backend of snapshot.backends) {
      if (!mayServe(backend) || tried.has(backend.id) || (this.limited && this.isFull(backend.id))) continue;
      if (best === null || backend.tier < best.tier) best = backend;
    }
    return best?.id ?? NONE;
  }

  /** Would `pick` find anybody else for a request that has tried these? */
  hasOther({ snapshot }: Balancer, backend: number, tried: ReadonlySet<number>): boolean {
    const fresh = (id: number): boolean => id !== backend && !tried.has(id);
    const free = (id: number): boolean => fresh(id) && !(this.limited && this.isFull(id));
    if (snapshot.eligible.some(fresh)) return snapshot.eligible.some(free);
    return snapshot.backends.some((b) => mayServe(b) && free(b.id));
  }

  /** May one more request be sent again? */
  mayRepeat(): boolean {
    return this.repeats < Math.max(this.rules.retryLeast, this.active * this.rules.retryShare);
  }

  /** False when as many wait as may, here and in other workers. */
  enqueue(waiter: Waiter): boolean {
    if (this.cells.queuedEverywhere() >= this.rules.queueSize) return false;
    if (waiter.again) this.again.add(waiter);
    else this.queue.push(waiter.owner, waiter);
    this.cells.add(-1, Cell.queued, 1);
    if (this.deadline === Number.POSITIVE_INFINITY) this.wheel.set(this, LOOK_AGAIN);
    return true;
  }

  leave(waiter: Waiter): void {
    if (this.again.delete(waiter) || this.queue.remove(waiter.owner, waiter)) this.cells.add(-1, Cell.queued, -1);
  }

  /** A backend may have room: those that wait get their turn after the present work, whose buffers they share. */
  freed(): void {
    if (this.isEmpty || this.waking) return;
    this.waking = true;
    queueMicrotask(this.wake);
  }

  private readonly wake = (): void => {
    this.waking = false;
    for (const waiter of this.again) {
      const backend = waiter.seek();
      if (backend === FULL) continue;
      this.again.delete(waiter);
      this.go(waiter, backend);
    }
    for (let first = this.queue.first(); first !== undefined; first = this.queue.first()) {
      const backend = first.seek();
      if (backend === FULL) return;
      this.queue.shift();
      this.go(first, backend);
    }
  };

  private go(waiter: Waiter, backend: number): void {
    this.cells.add(-1, Cell.queued, -1);
    waiter.proceed(backend);
  }

  private get isEmpty(): boolean {
    return this.queue.size === 0 && this.again.size === 0;
  }

  expired(): void {
    this.wake();
    if (!this.isEmpty) this.wheel.set(this, LOOK_AGAIN);
  }
}
