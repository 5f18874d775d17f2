import { addressOctets } from "../../core/address.ts";
import { counterIndex } from "../../core/counters.ts";
import type { Balancer, ServiceCells } from "../../core/method.ts";
import type { SchedulerDefinition } from "../../core/scheduler.ts";
import { Flag, Rcode, Type } from "../../protocols/dns/numbers.ts";
import { bodyLimit, bodyStart, finish, writeTruncated } from "../../protocols/dns/respond.ts";
import { AddressSet } from "./address-set.ts";
import type { CompiledDns } from "./compile.ts";
import type { Question } from "./question.ts";
import type { Rrset } from "./static-zone.ts";
import type { Steering } from "./steering/steering.ts";

/** What a service answers at this moment, and who orders it. */
export interface Current {
  compiled: CompiledDns;
  /** Order of A answers, order of AAAA answers; the same balancer when the service has one kind of address only. */
  balancers: { v4: Balancer; v6: Balancer };
}

/** Whose answers they are. */
export interface AnswersOf {
  name: string;
  ttl: number;
  network: { ipv4: number; ipv6: number };
  /** Of the scheduler; null for one that is not of the product, which may hang on anything. */
  needs: SchedulerDefinition["needs"] | null;
  cells: ServiceCells;
  /** The addresses if all checks had passed. */
  whenAllUp(): { v4: string[]; v6: string[] };
}

const REQUESTS = counterIndex.requests;
const nothing = new AddressSet([], 0, 0);

/**
 * What one service answers: made whole when it is asked for the first time after a change of its snapshot, read by
 * every query. A name that nobody asks for costs nothing, and a change of a hundred thousand names costs a mark each.
 */
export class ServiceAnswers {
  readonly name: string;
  /** The shortest of its answers, seconds: no negative answer lives longer. */
  readonly ttl: number;
  /** Does the order hang on the client? */
  readonly needsKey: boolean;
  /** May orders be drawn ahead: do they hang on the scheduler's own turns alone? */
  readonly ahead: boolean;
  readonly cells: ServiceCells;
  /** How many bits of a client's address stand for it, where `needsKey`. */
  readonly network: { ipv4: number; ipv6: number };
  /** Leads a question to the answers of one group of its backends; null: all get the same. */
  steering: Steering | null = null;
  private readonly current: () => Current;
  private readonly whenAllUp: AnswersOf["whenAllUp"];
  private balancers: Current["balancers"] | null = null;
  private stale = true;
  v4 = nothing;
  v6 = nothing;
  rule: CompiledDns["rule"] = "servfail";
  /** Is told when the snapshot is another one. */
  onChange: (() => void) | null = null;
  /** Grows with every change of what is answered. */
  version = 0;
  /** TTL of the addresses as they are answered now, seconds. */
  servedTtl = 0;

  constructor({ name, ttl, network, needs, cells, whenAllUp }: AnswersOf, current: () => Current) {
    this.whenAllUp = whenAllUp;
    this.name = name;
    this.ttl = ttl;
    this.network = network;
    this.current = current;
    this.needsKey = needs === null || needs.key === true;
    this.ahead = !this.needsKey && needs?.load === undefined;
    this.cells = cells;
  }

  /** The service's snapshot is another one. */
  changed(): void {
    this.stale = true;
    this.onChange?.();
  }

  /** Its sets as they would be if all checks had passed, at this name: for transfers. */
  standing(owner: Uint8Array): Rrset[] {
    const { v4, v6 } = this.whenAllUp();
    return [v4, v6]
      .map((addresses, i) => ({
        owner,
        type: i === 0 ? Type.A : Type.AAAA,
        ttl: this.ttl,
        rdata: addresses.map((a) => [addressOctets(a)]),
      }))
      .filter(({ rdata }) => rdata.length > 0);
  }

  /** To be called before the rest is read. */
  refresh(): void {
    if (!this.stale) return;
    this.stale = false;
    const { compiled, balancers } = this.current();
    const { ttl, most } = compiled;
    this.balancers = balancers;
    this.v4 = compiled.v4.length === 0 ? nothing : new AddressSet(compiled.v4, ttl, most, this.v4.turns);
    this.v6 = compiled.v6.length === 0 ? nothing : new AddressSet(compiled.v6, ttl, most, this.v6.turns);
    this.rule = compiled.rule;
    this.servedTtl = ttl;
    this.version++;
  }

  /** Writes the whole answer to an A (or, with `v6`, AAAA) query; the set must not be empty. Returns its length. */
  write({ out, query, transport }: Question, v6: boolean, key: number): number {
    const set = v6 ? this.v6 : this.v4;
    if (!set.fits(bodyLimit(query, transport))) {
      set.first = -1;
      return writeTruncated(out, query, transport, Rcode.NOERROR, true);
    }
    const at = bodyStart(query);
    const count = this.writeRecords(out, at, v6, key);
    return finish(out, query, transport, set.end(at, count), Rcode.NOERROR, Flag.AA, count, 0, 0);
  }

  /** Writes the records alone, their owner a pointer to the question; returns how many. */
  writeRecords(out: Uint8Array, at: number, v6: boolean, key: number): number {
    const set = v6 ? this.v6 : this.v4;
    let count = 0;
    if (this.rule === "steered") count = set.writeOrdered(out, at, this.order(v6, key));
    return count === 0 ? set.writeRotated(out, at) : count;
  }

  /** Octets of the records of one kind in an answer; 0: there are none. */
  sizeOf(v6: boolean): number {
    const set = v6 ? this.v6 : this.v4;
    return set.end(0, set.count);
  }

  /** Counts questions of this service, and for whom they stood first. */
  counted(first: number, questions = 1): void {
    this.cells.add(-1, REQUESTS, questions);
    if (first >= 0) this.cells.add(first, REQUESTS, questions);
  }

  order(v6: boolean, key: number): readonly number[] {
    const balancer = this.balancer(v6);
    return balancer.snapshot.eligible.length > 1 ? balancer.order(key) : balancer.snapshot.eligible;
  }

  /** From here on `returned` tells whether the orders since have come round. */
  mark(v6: boolean): void {
    const balancer = this.balancer(v6);
    if (balancer.snapshot.eligible.length > 1) balancer.mark();
  }

  /** Would the orders since `mark` be given again, the same? False where nobody knows. */
  returned(v6: boolean): boolean {
    const balancer = this.balancer(v6);
    return balancer.snapshot.eligible.length <= 1 || balancer.returned();
  }

  private balancer(v6: boolean): Balancer {
    return v6 ? this.balancers!.v6 : this.balancers!.v4;
  }
}
