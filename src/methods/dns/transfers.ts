import { type ClientAddress, parsePrefix } from "../../geo/prefix.ts";
import type { PrefixTrie } from "../../geo/trie.ts";
import { trieOf } from "../../geo/trie.ts";
import { explanations } from "../../protocols/dns/explanation.ts";
import { MessageWriter } from "../../protocols/dns/message-writer.ts";
import { nameToWire, wireToName } from "../../protocols/dns/name.ts";
import { Rcode, Type } from "../../protocols/dns/numbers.ts";
import { parseQuery, Query, skipName } from "../../protocols/dns/query.ts";
import type { Transport } from "../../protocols/dns/respond.ts";
import type { TsigKey, TsigSession } from "../../protocols/dns/tsig.ts";
import type { DnsSettings } from "./options.ts";
import type { Question } from "./question.ts";
import type { Site } from "./site.ts";
import type { Rrset } from "./static-zone.ts";
import type { Zone } from "./zones.ts";

/** What `answer` gives in the place of a length: messages without a known end. */
export const TRANSFER = -1;

/** A message of a transfer is closed when it has so many octets: compression reaches no further (RFC 1035 4.1.4). */
const FULL = 16_000;
const MOST_MESSAGE = 65_535;

/** The messages of a transfer, one after the other, each valid until the next is asked for. */
export type Messages = Generator<Uint8Array, void>;

/** The keys that the configuration shares with others. */
export const tsigKeys = ({ tsigKeys: given }: DnsSettings): TsigKey[] =>
  Object.entries(given).map(([name, { algorithm, secret }]) => ({
    name: nameToWire(name)!,
    algorithm,
    secret: Uint8Array.from(Buffer.from(secret, "base64")),
  }));

/** Zones on their way to other servers (RFC 5936), for those who may have them. */
export class Transfers {
  private readonly site: Site;
  private readonly from: PrefixTrie | null;
  private readonly keys: readonly string[];
  private readonly open: boolean;

  constructor(site: Site, { transfers }: DnsSettings) {
    const { from = [], keys = [] } = transfers ?? {};
    this.site = site;
    this.open = transfers !== undefined;
    this.from = from.length === 0 ? null : trieOf(from.map((text) => parsePrefix(text)!));
    this.keys = keys.map((name) => wireToName(nameToWire(name)!));
  }

  /**
   * The answer to AXFR or IXFR: a message that was written, or the messages of the transfer. Refused to whoever may not
   * have it, and for a signed zone: its signatures are made for each question.
   */
  answer(question: Question): number | Messages {
    const { query, length, client, transport, session } = question;
    const refuse = (): number => {
      query.explained = explanations.prohibited;
      return question.bare(Rcode.REFUSED);
    };
    if (!this.allowed(client, session)) return refuse();
    const zone = query.labels === 0 ? undefined : this.site.zoneAt(query.name());
    if (zone === undefined) return question.bare(Rcode.NOTAUTH);
    if (zone.signing !== null) return refuse();
    const known = query.type === Type.IXFR ? serialOf(query, length) : null;
    if (query.type === Type.IXFR && known === null) return question.bare(Rcode.FORMERR);
    if (!transport.tcp && query.type === Type.AXFR) return question.bare(Rcode.REFUSED);
    // The one SOA says: nothing newer here, or over UDP: come by TCP (RFC 1995 2, 4).
    const brief = !transport.tcp || (known !== null && ((zone.soa.serial - known) | 0) <= 0);
    const sets = brief ? [zone.soaSet] : this.site.contents(zone);
    const own = copyOf(query, length);
    if (!transport.tcp) return soaOnly(question, zone);
    return messages(own, transport, sets, session);
  }

  private allowed(client: ClientAddress, session: TsigSession | null): boolean {
    if (!this.open) return false;
    if (this.from !== null && this.from.find(client.octets, 0, client.size).value < 0) return false;
    if (this.keys.length === 0) return true;
    return session?.key != null && this.keys.includes(wireToName(session.key.name));
  }
}

/** The query for itself: the one that was parsed serves others while the transfer goes on. */
function copyOf(query: Query, length: number): Query {
  const own = new Query();
  parseQuery(own, Uint8Array.from(query.bytes.subarray(0, length)), length);
  own.reserved = query.reserved;
  return own;
}

function soaOnly({ out, query, transport }: Question, zone: Zone): number {
  const writer = new MessageWriter();
  writer.begin(out, query, transport);
  writer.record("answers", zone.apex, Type.SOA, zone.soaTtl, zone.soaSet.rdata[0]!);
  return writer.finish(Rcode.NOERROR, true);
}

/** Records in messages as full as may be; each is signed when the query was. */
function* messages(query: Query, transport: Transport, sets: Iterable<Rrset>, session: TsigSession | null): Messages {
  const out = new Uint8Array(MOST_MESSAGE + 1);
  const writer = new MessageWriter();
  const close = (): Uint8Array => {
    const length = writer.finish(Rcode.NOERROR, true);
    return out.subarray(0, session === null ? length : session.sign(out, length, Math.floor(Date.now() / 1000)));
  };
  writer.begin(out, query, transport);
  for (const { owner, type, ttl, rdata } of sets) {
    for (const one of rdata) {
      if (writer.length < FULL && writer.record("answers", owner, type, ttl, one)) continue;
      yield close();
      writer.begin(out, query, transport);
      writer.record("answers", owner, type, ttl, one);
    }
  }
  yield close();
}

/** The serial of the SOA that an IXFR query carries (RFC 1995 3); null: it carries none. */
function serialOf({ bytes, nameEnd }: Query, length: number): number | null {
  const owner = skipName(bytes, nameEnd + 4, length);
  if (owner < 0 || owner + 10 > length || ((bytes[owner]! << 8) | bytes[owner + 1]!) !== Type.SOA) return null;
  const primary = skipName(bytes, owner + 10, length);
  const admin = primary < 0 ? -1 : skipName(bytes, primary, length);
  if (admin < 0 || admin + 4 > length) return null;
  return ((bytes[admin]! << 24) | (bytes[admin + 1]! << 16) | (bytes[admin + 2]! << 8) | bytes[admin + 3]!) >>> 0;
}
