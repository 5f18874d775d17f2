import type { Balancer, ServiceCells } from "../../core/method.ts";
import type { SchedulerDefinition } from "../../core/scheduler.ts";
import { Flag, Rcode } from "../../protocols/dns/numbers.ts";
import type { Query } from "../../protocols/dns/query.ts";
import { bodyLimit, bodyStart, finish, type Transport, writeTruncated } from "../../protocols/dns/respond.ts";
import { AddressSet } from "./address-set.ts";
import type { CompiledDns } from "./compile.ts";

/** What one service answers: rebuilt whole when its snapshot changes, read by every query. */
export class ServiceAnswers {
  readonly name: string;
  /** Order of A answers, order of AAAA answers; the same balancer when the service has one kind of address only. */
  private balancers: { v4: Balancer; v6: Balancer };
  /** Does the order hang on the client? */
  readonly needsKey: boolean;
  /** May orders be drawn ahead: do they hang on the scheduler's own turns alone? */
  private readonly ahead: boolean;
  readonly cells: ServiceCells;
  private readonly draw: { v4: () => readonly number[]; v6: () => readonly number[] };
  v4!: AddressSet;
  v6!: AddressSet;
  rule!: CompiledDns["rule"];

  /** `needs`: of the scheduler; null for one that is not of the product, which may hang on anything. */
  constructor(
    compiled: CompiledDns,
    balancers: { v4: Balancer; v6: Balancer },
    needs: SchedulerDefinition["needs"] | null,
    cells: ServiceCells,
  ) {
    this.name = compiled.service;
    this.balancers = balancers;
    this.needsKey = needs === null || needs.key === true;
    this.ahead = !this.needsKey && needs?.load === undefined;
    this.cells = cells;
    this.draw = { v4: () => this.order(false, 0), v6: () => this.order(true, 0) };
    this.update(compiled, balancers);
  }

  update(compiled: CompiledDns, balancers: { v4: Balancer; v6: Balancer }): void {
    this.balancers = balancers;
    const { ttl, most } = compiled;
    this.v4 = new AddressSet(compiled.v4, ttl, most, this.v4?.turns);
    this.v6 = new AddressSet(compiled.v6, ttl, most, this.v6?.turns);
    this.rule = compiled.rule;
  }

  /** Writes the whole answer to an A (or, with `v6`, AAAA) query; the set must not be empty. Returns its length. */
  write(out: Uint8Array, query: Query, transport: Transport, v6: boolean, key: number): number {
    const set = v6 ? this.v6 : this.v4;
    if (!set.fits(bodyLimit(query, transport))) {
      set.first = -1;
      return writeTruncated(out, query, transport, Rcode.NOERROR);
    }
    const at = bodyStart(query);
    let count = 0;
    if (this.rule === "steered") {
      if (this.ahead) count = set.deal(out, at, v6 ? this.draw.v6 : this.draw.v4);
      else count = set.writeOrdered(out, at, this.order(v6, key));
    }
    if (count === 0) count = set.writeRotated(out, at);
    return finish(out, query, transport, set.end(at, count), Rcode.NOERROR, Flag.AA, count, 0, 0);
  }

  private order(v6: boolean, key: number): readonly number[] {
    const balancer = v6 ? this.balancers.v6 : this.balancers.v4;
    return balancer.snapshot.eligible.length > 1 ? balancer.order(key) : balancer.snapshot.eligible;
  }
}
