import { hashBytes } from "../core/hash.ts";
import type { Balancer } from "../core/method.ts";
import type { FieldBlock } from "../protocols/http/field-block.ts";
import { ascii, isWord } from "../protocols/http/octets.ts";
import { createBalancer } from "../schedulers/follow.ts";
import sourceHash from "../schedulers/source-hash.ts";
import type { Owned, Sticky } from "./sticky.ts";
import type { Among } from "./tagged.ts";

/**
 * The same field value, or the same client address, goes to the same backend: by a consistent hash over those that may
 * get work, so that nothing is remembered, all workers and directors of one seed agree, and a backend that goes or comes
 * moves its own part and hardly any other (Maglev, NSDI'16, 5.3).
 */
export class StickyHash implements Sticky {
  /** Lower case; null: the client's address. */
  private readonly field: Uint8Array | null;
  private readonly seed: number;
  /** A table for each group of backends that requests may go to. */
  private readonly tables = new WeakMap<Balancer, Balancer>();

  /** `header`: name of the field; null: the client's address. */
  constructor(header: string | null, seed: number) {
    this.field = header === null ? null : ascii(header.toLowerCase());
    this.seed = seed;
  }

  home(bytes: Buffer, fields: FieldBlock, { balancer }: Among, client: Owned): number {
    const hashed = this.field === null ? client.owner : this.valueKey(bytes, fields, this.field);
    return hashed < 0 ? -1 : this.tableOf(balancer).pick(hashed, NONE_TRIED);
  }

  /** u32; -1 when the request has no such field, or an empty one. Of several the first counts. */
  private valueKey(bytes: Buffer, fields: FieldBlock, name: Uint8Array): number {
    for (let k = 0; k < fields.count; k++) {
      if (!isWord(bytes, fields.name[k]!, fields.nameEnd[k]!, name)) continue;
      const value = bytes.subarray(fields.value[k]!, fields.valueEnd[k]!);
      return value.length === 0 ? -1 : hashBytes(value, this.seed);
    }
    return -1;
  }

  private tableOf(among: Balancer): Balancer {
    const known = this.tables.get(among);
    if (known?.snapshot === among.snapshot) return known;
    known?.update(among.snapshot);
    const env = { random: Math.random, now: () => 0, load: () => 0, seed: this.seed };
    const table = known ?? createBalancer(sourceHash, sourceHash.options.parse({}), env, among.snapshot);
    this.tables.set(among, table);
    return table;
  }

  line(): null {
    return null;
  }

  follow(): void {}
}

const NONE_TRIED: ReadonlySet<number> = new Set();
