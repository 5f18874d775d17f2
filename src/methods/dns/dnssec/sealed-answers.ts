import { Flag } from "../../../protocols/dns/numbers.ts";
import type { Query } from "../../../protocols/dns/query.ts";
import { bodyLimit, bodyStart, finish } from "../../../protocols/dns/respond.ts";
import type { Question } from "../question.ts";
import type { ServiceAnswers } from "../service-answers.ts";
import { BoundedCache } from "./bounded-cache.ts";

/** The body of an answer, and what it hangs on. */
interface Kept {
  body: Uint8Array;
  rcode: number;
  bits: number;
  counts: [answers: number, authority: number, additional: number];
  /** Whose addresses are not there, and at which change of its. */
  service: ServiceAnswers | null;
  version: number;
  /** Of the site: other keys, another serial. */
  site: number;
  /** Seconds since 1970. */
  until: number;
}

/** Signatures are renewed long before they end: an answer may be that much older. */
const LIFE = 60;

/**
 * Whole answers out of signed zones for names that exist, so that an answer costs a copy. Names compress against the
 * question, which is as long each time: the octets are the same.
 */
export class SealedAnswers {
  private readonly answers: BoundedCache<Kept>;

  /** Holds twice `most` answers. */
  constructor(most: number) {
    this.answers = new BoundedCache(most);
  }

  static keyOf(query: Query): string {
    const name = query.name();
    const octets = Buffer.from(name.buffer, name.byteOffset, name.length);
    return `${query.type}${query.compactOk ? "+" : " "}${octets.toString("latin1")}`;
  }

  /** Writes the answer that is kept; 0: there is none that holds, or fits. */
  write(key: string, { out, query, transport }: Question, site: number, now: number): number {
    const kept = this.answers.get(key);
    if (kept === undefined || kept.site !== site || now >= kept.until) return 0;
    const { body, rcode, bits, counts, service, version } = kept;
    service?.refresh();
    if ((service !== null && service.version !== version) || body.length > bodyLimit(query, transport)) return 0;
    const start = bodyStart(query);
    for (let i = 0; i < body.length; i++) out[start + i] = body[i]!;
    return finish(out, query, transport, start + body.length, rcode, bits, counts[0], counts[1], counts[2]);
  }

  /** Keeps the answer that was written to `out`; `end`: of its body. */
  take(
    key: string,
    { out, query }: Question,
    end: number,
    service: ServiceAnswers | null,
    site: number,
    now: number,
  ): void {
    const word = (at: number): number => (out[at]! << 8) | out[at + 1]!;
    const flags = word(2);
    if ((flags & Flag.TC) !== 0) return;
    this.answers.set(key, {
      body: Uint8Array.from(out.subarray(bodyStart(query), end)),
      rcode: flags & 15,
      bits: flags & Flag.AA,
      counts: [word(6), word(8), word(10) - (query.edns ? 1 : 0)],
      service,
      version: service?.version ?? 0,
      site,
      until: now + LIFE,
    });
  }
}
