import Decoder from "mmdb-lib/lib/decoder.js";
import type { Prefix } from "./prefix.ts";
import type { PrefixTrie } from "./trie.ts";

/** Octets between the search tree and the data (MaxMind DB format 2.0, "Data Section Separator"). */
const SEPARATOR = 16;

/** Behind the last of these the database describes itself. */
const MARKER = Buffer.from("\xab\xcd\xefMaxMind.com", "latin1");

/** Values that one record may hold: those of city databases have a hundred, behind pointers mostly. */
const MOST_VALUES = 10_000;
/** Values of all records, for each octet of the file. */
const VALUES_AN_OCTET = 20;

/** Decodes with an end: pointers may lead back to what holds them, or make two of one over and over. */
class BoundedDecoder extends Decoder {
  private all: number;
  private one = 0;

  constructor(db: Buffer, base: number, all: number) {
    super(db, base);
    this.all = all;
  }

  /** The value at an octet of the file. Throws for what is none, or has too many parts. */
  read(at: number): unknown {
    this.one = MOST_VALUES;
    return this.decode(at).value;
  }

  override decode(at: number): ReturnType<Decoder["decode"]> {
    if (this.one-- <= 0 || this.all-- <= 0) throw new Error("a record has no end");
    return super.decode(at);
  }
}

/** What a database says of itself, as far as it matters here. */
interface Metadata {
  title: string;
  nodeCount: number;
  recordSize: number;
  ipVersion: number;
}

function readMetadata(db: Buffer): Metadata {
  const marker = db.lastIndexOf(MARKER);
  if (marker < 0) throw new Error("it is not in MaxMind's format");
  const at = marker + MARKER.length;
  const said = new BoundedDecoder(db, at, MOST_VALUES).read(at) as Record<string, unknown> | null;
  const {
    database_type: type,
    build_epoch: built,
    node_count: nodeCount,
    record_size: size,
    ip_version: ip,
  } = said ?? {};
  const whole = (value: unknown, among: readonly number[]): number => {
    if (!among.includes(value as number)) throw new Error("what it says of itself makes no sense");
    return value as number;
  };
  const recordSize = whole(size, [24, 28, 32]);
  const fits = Number.isSafeInteger(nodeCount) && (nodeCount as number) * (recordSize / 4) + SEPARATOR <= marker;
  if (!fits || (nodeCount as number) < 0) throw new Error("its search tree is not whole");
  const day = new Date(Number(built) * 1000).toISOString().slice(0, 10);
  return { title: `${type}, built ${day}`, nodeCount: nodeCount as number, recordSize, ipVersion: whole(ip, [4, 6]) };
}

/** What a database says of a network, as far as places go by it. */
export interface Area {
  /** ISO 3166-1 two letters, upper case; null: unknown. */
  country: string | null;
  /** AF, AN, AS, EU, NA, OC or SA. */
  continent: string | null;
}

/** Databases of MaxMind nest their words, those of others have them flat. */
function toArea(record: unknown): Area {
  const { country, continent, country_code: flat } = (record ?? {}) as Record<string, unknown>;
  const word = (value: unknown, key: string): string | null => {
    const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : value;
    return typeof found === "string" && /^[A-Za-z]{2}$/.test(found) ? found.toUpperCase() : null;
  };
  return { country: word(country, "iso_code") ?? word(flat, ""), continent: word(continent, "code") };
}

/** A MaxMind DB file (`.mmdb`), walked once: a look-up in it builds objects, which is too slow for a query. */
export class GeoDatabase {
  private readonly db: Buffer;
  private readonly metadata: Metadata;
  /** Value of each data pointer, so that every record is decoded once. */
  private readonly values = new Map<number, number>();
  private left = 0;
  private decoder!: BoundedDecoder;

  /** Throws when the octets are no such database. */
  constructor(bytes: Buffer) {
    this.db = bytes;
    this.metadata = readMetadata(bytes);
  }

  /** `GeoLite2-Country, built 2026-06-17`. */
  get title(): string {
    return this.metadata.title;
  }

  /**
   * Sets the value of every network in `trie` to what `numberOf` makes of its area; -1 leaves it out. Throws for a
   * damaged file. The IPv4 part of an IPv6 database is taken once, not again where it is mapped (RFC 4291, 6to4, Teredo).
   */
  fill(trie: PrefixTrie, numberOf: (area: Area) => number): void {
    this.values.clear();
    const { ipVersion, nodeCount } = this.metadata;
    this.decoder = new BoundedDecoder(
      this.db,
      this.treeSize + SEPARATOR,
      MOST_VALUES + this.db.length * VALUES_AN_OCTET,
    );
    this.left = nodeCount * 4;
    let v4 = 0;
    if (ipVersion === 6) for (let i = 0; i < 96 && v4 < nodeCount; i++) v4 = this.child(v4, 0);
    this.walk(v4, new Uint8Array(4), 0, trie, numberOf, -1);
    // Where all of IPv4 has one record, others of IPv6 may have it too.
    if (ipVersion === 6) this.walk(0, new Uint8Array(16), 0, trie, numberOf, v4 < nodeCount ? v4 : -1);
  }

  /** Everything below `node`, whose address is the first `length` bits of `bytes`. `skip`: a node that is not entered. */
  private walk(
    node: number,
    bytes: Uint8Array,
    length: number,
    trie: PrefixTrie,
    numberOf: (area: Area) => number,
    skip: number,
  ): void {
    const { nodeCount } = this.metadata;
    if (node === skip || node === nodeCount) return;
    if (node > nodeCount) {
      const value = this.valueAt(node, numberOf);
      if (value >= 0) trie.set({ bytes, length } satisfies Prefix, value);
      return;
    }
    if (length >= bytes.length * 8 || this.left-- <= 0) throw new Error("the search tree has no end");
    this.walk(this.child(node, 0), bytes, length + 1, trie, numberOf, skip);
    const mask = 128 >> (length & 7);
    bytes[length >> 3]! |= mask;
    this.walk(this.child(node, 1), bytes, length + 1, trie, numberOf, skip);
    bytes[length >> 3]! &= ~mask;
  }

  private valueAt(pointer: number, numberOf: (area: Area) => number): number {
    const known = this.values.get(pointer);
    if (known !== undefined) return known;
    const made = numberOf(toArea(this.decoder.read(pointer - this.metadata.nodeCount + this.treeSize)));
    this.values.set(pointer, made);
    return made;
  }

  /** Octets of the search tree. */
  private get treeSize(): number {
    const { nodeCount, recordSize } = this.metadata;
    return (nodeCount * recordSize) / 4;
  }

  /** One of a node's two records, of 24, 28 or 32 bits each. */
  private child(node: number, side: 0 | 1): number {
    const { recordSize } = this.metadata;
    const at = node * (recordSize / 4);
    if (recordSize === 24) return this.db.readUIntBE(at + side * 3, 3);
    if (recordSize === 32) return this.db.readUInt32BE(at + side * 4);
    const middle = this.db[at + 3]!;
    return side === 0
      ? ((middle & 0xf0) << 20) | this.db.readUIntBE(at, 3)
      : ((middle & 0x0f) << 24) | this.db.readUIntBE(at + 4, 3);
  }
}
