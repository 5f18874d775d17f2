import { generate } from "./generate.ts";
import { type Entry, entriesOf } from "./master-tokens.ts";
import { nameToWire, wireToName } from "./name.ts";
import { MAX_NAME, Type } from "./numbers.ts";
import { parseRdata, parseTtl } from "./rdata-text.ts";
import { typeNumber } from "./record-types.ts";
import type { Rdata } from "./template.ts";

/** One record of a zone. Class IN. */
export interface ZoneRecord {
  /** Wire form, lower case. */
  owner: Uint8Array;
  type: number;
  ttl: number;
  rdata: Rdata;
}

/** What is wrong, and where: `zone.db:12`. */
export interface MasterFault {
  file: string;
  line: number;
  message: string;
}

export interface MasterSource {
  /** How faults call it. */
  file: string;
  text: string;
}

export interface MasterOptions {
  /** Wire name that relative names are below. */
  origin: Uint8Array;
  /** For records before any `$TTL`; null: they take the last one's, or the SOA's minimum (RFC 1035 5.1, RFC 2308 4). */
  ttl: number | null;
  /** The text that `$INCLUDE` names; a string says why there is none. */
  include(file: string, from: string): MasterSource | string;
}

const MOST_FAULTS = 20;
const MOST_RECORDS = 1_000_000;
/** Of all records, `PART` for each part of RDATA counted with its octets: a line of a few kilobytes may make 65,536 records. */
const MOST_OCTETS = 256 * 2 ** 20;
const PART = 64;
const MOST_DEPTH = 8;
const MOST_INCLUDES = 10_000;

/**
 * Parses a master file (RFC 1035 5, RFC 2308 4, RFC 3597 5, BIND's $GENERATE): every record, or what is wrong with it.
 * Never throws; ends after 20 faults, a million records, 256 MiB of them, or 10,000 included files.
 */
export function parseMasterFile(
  source: MasterSource,
  options: MasterOptions,
): { records: ZoneRecord[]; faults: MasterFault[] } {
  const parser = new Parser(options);
  parser.read(source, options.origin, 0);
  return { records: parser.records, faults: parser.faults };
}

class Parser {
  readonly records: ZoneRecord[] = [];
  readonly faults: MasterFault[] = [];
  private readonly options: MasterOptions;
  private origin: Uint8Array;
  private owner: Uint8Array | null = null;
  private defaultTtl: number | null;
  private lastTtl: number | null = null;
  private minimum: number | null = null;
  private file = "";
  private octets = 0;
  private included = 0;
  /** More than can be taken: nothing further is read. */
  private full = false;

  constructor(options: MasterOptions) {
    this.options = options;
    this.origin = options.origin;
    this.defaultTtl = options.ttl;
  }

  /** The origin and the owner of an included file end with it (RFC 1035 5.1). */
  read(source: MasterSource, origin: Uint8Array, depth: number): void {
    const before = { origin: this.origin, owner: this.owner, file: this.file };
    this.origin = origin;
    this.file = source.file;
    for (const entry of entriesOf(source.text, (line, message) => this.fault(line, message))) {
      if (this.faults.length >= MOST_FAULTS || this.full) break;
      if (!entry.indented && entry.tokens[0]!.text.startsWith("$") && !entry.tokens[0]!.quoted)
        this.blame(entry.line, this.directive(entry, depth));
      else this.blame(entry.line, this.record(entry));
    }
    Object.assign(this, before);
  }

  private blame(line: number, message: string | null): void {
    if (message !== null) this.fault(line, message);
  }

  private fault(line: number, message: string): void {
    if (this.faults.length < MOST_FAULTS) this.faults.push({ file: this.file, line, message });
  }

  /** Null, or what is wrong. */
  private directive({ line, tokens }: Entry, depth: number): string | null {
    const [word, first, second] = tokens.map((token) => token.text);
    const name = word!.toUpperCase();
    if (name === "$ORIGIN") {
      const origin = first === undefined ? null : this.resolve(first);
      if (origin === null || tokens.length !== 2) return "$ORIGIN needs a domain name";
      this.origin = origin;
    } else if (name === "$TTL") {
      const ttl = first === undefined ? null : parseTtl(first);
      if (ttl === null || tokens.length !== 2) return "$TTL needs a time, such as 3600 or 1h";
      this.defaultTtl = ttl;
    } else if (name === "$INCLUDE") {
      const origin = second === undefined ? this.origin : this.resolve(second);
      if (first === undefined || origin === null) return "$INCLUDE needs a file, and may name an origin";
      if (depth >= MOST_DEPTH) return `$INCLUDE goes deeper than ${MOST_DEPTH}`;
      if (++this.included > MOST_INCLUDES) return this.stop(`more than ${MOST_INCLUDES} files are included`);
      const source = this.options.include(first, this.file);
      if (typeof source === "string") return `$INCLUDE ${first}: ${source}`;
      this.read(source, origin, depth + 1);
    } else if (name === "$GENERATE") {
      const made = generate(tokens.slice(1));
      if (typeof made === "string") return `$GENERATE: ${made}`;
      for (const generated of made) {
        if (this.faults.length >= MOST_FAULTS || this.full) break;
        this.blame(line, this.record({ indented: false, tokens: generated }));
      }
    } else return `${word} is not known: $ORIGIN, $TTL, $INCLUDE, $GENERATE are`;
    return null;
  }

  /** Says why no more is read. */
  private stop(message: string): string {
    this.full = true;
    return message;
  }

  /** Null, or what is wrong. */
  private record({ indented, tokens }: Omit<Entry, "line">): string | null {
    let at = 0;
    if (!indented) {
      const text = tokens[at++]!.text;
      this.owner = this.resolve(text);
      if (this.owner === null) return `"${text}" is not a domain name`;
    }
    const { owner } = this;
    if (owner === null) return "there is no owner to go on with";
    let ttl: number | null = null;
    let classed = false;
    // TTL and class in either order, each at most once.
    for (; at < tokens.length; at++) {
      const { text } = tokens[at]!;
      if (!classed && /^(IN|CH|HS|CS|CLASS\d+)$/i.test(text)) {
        if (!/^(IN|CLASS1)$/i.test(text)) return `class ${text} is not served: only IN`;
        classed = true;
      } else if (ttl === null && /^\d/.test(text) && parseTtl(text) !== null) ttl = parseTtl(text);
      else break;
    }
    const word = tokens[at]?.text ?? "";
    const type = typeNumber(word);
    if (type === null) return `"${word}" is not a type of record`;
    const parsed = parseRdata(type, tokens.slice(at + 1), (text) => this.resolve(text));
    if (!parsed.ok) return parsed.message;
    if (type === Type.SOA) this.minimum = soaMinimum(parsed.rdata);
    const given = ttl ?? this.defaultTtl ?? this.lastTtl ?? this.minimum;
    if (given === null) return "the record has no TTL, and there is no $TTL";
    if (ttl !== null) this.lastTtl = ttl;
    this.octets += parsed.rdata.reduce(
      (sum, part) => sum + PART + (part instanceof Uint8Array ? part.length : 0),
      PART,
    );
    if (this.records.length >= MOST_RECORDS) return this.stop(`more than ${MOST_RECORDS} records`);
    if (this.octets > MOST_OCTETS) return this.stop(`the records up to here take more than ${MOST_OCTETS} octets`);
    this.records.push({ owner, type, ttl: given, rdata: parsed.rdata });
    return null;
  }

  private resolve(text: string): Uint8Array | null {
    if (text === "@") return this.origin;
    const wire = nameToWire(text);
    if (wire === null || isAbsolute(text)) return wire;
    const whole = Uint8Array.from([...wire.subarray(0, -1), ...this.origin]);
    return whole.length <= MAX_NAME ? whole : null;
  }
}

const soaMinimum = (rdata: Rdata): number => new DataView(joined(rdata.slice(2)).buffer).getUint32(16);

/** The octets of parts that hold no names. */
export const joined = (rdata: Rdata): Uint8Array => Uint8Array.from(rdata.flatMap((part) => [...(part as Uint8Array)]));

/** Ends it in a dot that is not escaped? */
function isAbsolute(text: string): boolean {
  const backslashes = /\\*\.$/.exec(text)?.[0].length;
  return backslashes !== undefined && backslashes % 2 === 1;
}

/** A record as one line that any parser of master files reads back: names absolute, octets in hex where they are opaque. */
export function recordText({ owner, ttl, type, rdata }: ZoneRecord): string {
  const dotted = (wire: Uint8Array): string => (wire.length === 1 ? "." : `${wireToName(wire)}.`);
  const parts = rdata.map((part) =>
    part instanceof Uint8Array ? `x${Buffer.from(part).toString("hex")}` : `=${dotted(part.name)}`,
  );
  return [dotted(owner), ttl, type, ...parts].join(" ");
}

/** The inverse of `recordText`. */
export function recordOf(line: string): ZoneRecord {
  const [owner, ttl, type, ...parts] = line.split(" ");
  const rdata = parts.map((part) =>
    part.startsWith("x") ? Uint8Array.from(Buffer.from(part.slice(1), "hex")) : { name: nameToWire(part.slice(1))! },
  );
  return { owner: nameToWire(owner!)!, ttl: Number(ttl), type: Number(type), rdata };
}
