import { clientNetwork, isIPv6 } from "../core/address.ts";
import { backendName } from "../core/backend.ts";
import { hashText } from "../core/hash.ts";
import type { Outcome } from "../core/scheduler.ts";
import { writeIntroduction } from "../protocols/proxy-protocol/write.ts";
import { Reading } from "./client.ts";
import { FULL, type Waiter } from "./gate.ts";
import type { Pool } from "./pool.ts";
import { Cell } from "./service-state.ts";
import type { Among } from "./tagged.ts";
import { Tunneller } from "./tunneller.ts";
import type { Upstream } from "./upstream.ts";

const NONE_TRIED: ReadonlySet<number> = new Set();
/** A request that may not be sent twice takes no pooled connection that has rested longer: it could be stale. ms */
const SAFE_REST = 1000;

/**
 * A client whose request looks for a backend: the scheduler's choice, below its limit, or a place in the queue; and
 * another one when that fails, as often and as many at a time as the rules allow.
 */
export abstract class Seeker extends Tunneller implements Waiter {
  protected tried: ReadonlySet<number> = NONE_TRIED;
  /** The backends that the request under way may go to. */
  protected among: Among | null = null;
  protected home = -1;
  protected attempts = 0;
  /** The backend that was asked last; -1: none. */
  private last = -1;
  /** When it was asked, by the wheel's clock: right in the mean of many. */
  private usedAt = 0;
  protected connecting = false;
  protected idempotent = false;
  /** The backend that it was sent to once more, for the kept connection was stale, -1: none; and how often that was so. */
  private repeated = -1;
  private replaced = 0;
  /** Is the request counted at the service's gate; as a repeat too; does it wait there? */
  private inGate = false;
  private isRepeat = false;
  private waiting = false;

  protected abstract connect(pool: Pool): void;
  protected abstract dispatch(upstream: Upstream, parsed: boolean): void;

  get unsent(): boolean {
    return this.reading === Reading.BODY;
  }

  /** A new request looks for a backend among these. `home`: where its cookie says it belongs; -1: nowhere. */
  protected enterGate(among: Among, home = -1): void {
    this.among = among;
    this.home = home;
    this.tried = NONE_TRIED;
    this.last = -1;
    this.attempts = this.replaced = 0;
    this.repeated = -1;
    this.inGate = true;
    among.gate.active++;
  }

  /** Picks a backend and sends; false when none is left. `parsed`: `front.head` is of this request still. */
  protected choose(parsed: boolean): boolean {
    const { gate } = this.among!;
    // Who comes new stands behind those that wait.
    if (!this.again && gate.isQueued) return this.wait();
    const backend = this.seek();
    return backend === FULL ? this.wait() : this.go(backend, parsed);
  }

  private go(backend: number, parsed: boolean): boolean {
    if (backend < 0) return false;
    const service = this.service!;
    const rest = this.idempotent && !this.unsent ? Number.POSITIVE_INFINITY : SAFE_REST;
    const kept = service.idle.take(backend, rest);
    const pool = kept === null ? service.pool(backend) : null;
    if (kept === null && pool === null) return false;
    this.use(backend);
    if (kept !== null) this.dispatch(kept, parsed);
    else this.connect(pool!);
    return true;
  }

  /** All backends are at their limit: takes a place in the queue, if there is one. */
  private wait(): boolean {
    const { gate } = this.among!;
    this.waiting = gate.enqueue(this);
    if (this.waiting) this.front.wheel.set(this, gate.rules.queueTimeout);
    else this.fail(503, "SLUICE_QUEUE_FULL", "");
    return true;
  }

  /** u32 hash of the client's network: whose turn it is in a queue, and where it belongs when it sticks by its address. */
  get owner(): number {
    const { seed, limits } = this.front;
    return isIPv6(this.address) ? hashText(clientNetwork(this.address, limits.ipv6Prefix), seed) : this.key;
  }

  get again(): boolean {
    return this.attempts > 0;
  }

  seek(): number {
    const { gate, balancer } = this.among!;
    const { home } = this;
    if (home >= 0 && !this.tried.has(home) && this.keeps(home) && !(gate.limited && gate.isFull(home))) return home;
    return gate.pick(balancer, this.key, this.tried);
  }

  /** May this backend go on with what it has? One that drains may; one that a route leads away from may not. */
  private keeps(backend: number): boolean {
    const { balancer } = this.among!;
    const state = balancer.backend(backend)?.state;
    return (
      state === "up" || state === "unchecked" || state === "draining" || balancer.snapshot.eligible.includes(backend)
    );
  }

  proceed(backend: number): void {
    const { wheel, limits } = this.front;
    this.waiting = false;
    if (this.unsent) wheel.set(this, limits.bodyTimeout);
    else wheel.clear(this);
    if (!this.go(backend, false)) this.fail(503, "SLUICE_NO_BACKEND", "");
  }

  override expired(): void {
    if (this.waiting) this.fail(503, "SLUICE_QUEUE_TIMEOUT", "");
    else super.expired();
  }

  protected use(backend: number): void {
    const { cells } = this.service!;
    const { balancer } = this.among!;
    this.backend = this.last = backend;
    this.usedAt = this.front.wheel.now;
    if (this.attempts++ > 0) {
      cells.add(-1, Cell.retries, 1);
      cells.add(backend, Cell.retries, 1);
    }
    balancer.began(backend);
    // In this order: who reads them meanwhile must not take it for a request that is over.
    cells.add(backend, Cell.active, 1);
    cells.add(backend, Cell.requests, 1);
  }

  /** A response has begun. */
  protected answeredAt(): void {
    const { cells } = this.service!;
    const seconds = (this.front.wheel.now - this.usedAt) / 1000;
    cells.add(this.backend, Cell.waited, seconds);
    cells.add(-1, Cell.waited, seconds);
  }

  protected unuse(outcome: Outcome): void {
    if (this.backend < 0) return;
    const { cells } = this.service!;
    const { balancer, gate } = this.among!;
    balancer.ended(this.backend, outcome);
    cells.add(this.backend, Cell.active, -1);
    gate.freed();
    if (outcome === "failed") cells.add(this.backend, Cell.errors, 1);
    this.backend = -1;
  }

  /** Has it been sent as often as it may? A stale connection that was replaced, once at a backend, is no try of it. */
  private get spent(): boolean {
    return this.attempts - this.replaced > this.service!.retries;
  }

  /**
   * Sends the request once more: after a stale connection to the same backend, else to another. `sent`: a backend may
   * have worked on it, so that it costs twice; such repeats have a budget.
   */
  protected retry(backend: number, stale: boolean, sent: boolean): boolean {
    const pool = stale && this.repeated !== backend ? this.service!.pool(backend) : null;
    if (pool === null && this.spent) return false;
    if (sent && !this.isRepeat) {
      const { gate } = this.among!;
      if (!gate.mayRepeat()) return false;
      this.isRepeat = true;
      gate.repeats++;
    }
    if (pool !== null) {
      this.repeated = backend;
      this.replaced++;
      this.use(backend);
      this.connect(pool);
      return true;
    }
    if (this.tried === NONE_TRIED) this.tried = new Set();
    (this.tried as Set<number>).add(backend);
    return this.choose(false);
  }

  /** May the request under way be sent once more, and is there another backend for it? */
  protected get hasOther(): boolean {
    const { balancer, gate } = this.among!;
    return !this.spent && gate.hasOther(balancer, this.backend, this.tried);
  }

  introduction(): Buffer | null {
    const { sendProxy } = this.service!;
    if (sendProxy === undefined) return null;
    const { source, destination } = this.ends();
    return writeIntroduction(sendProxy, source, destination);
  }

  protected override went(): { backend: string; attempts: number } {
    const backend = this.last < 0 ? undefined : this.service?.balancer.backend(this.last);
    return { backend: backend ? backendName(backend) : "", attempts: this.attempts };
  }

  protected leaveGate(): void {
    if (!this.inGate) return;
    const { gate } = this.among!;
    if (this.waiting) gate.leave(this);
    if (this.isRepeat) gate.repeats--;
    gate.active--;
    this.inGate = this.isRepeat = this.waiting = false;
  }
}
