import { createHmac, timingSafeEqual } from "node:crypto";
import { foldOctet, nameToWire } from "./name.ts";
import { Type } from "./numbers.ts";

/** A secret that two servers share (RFC 8945). */
export interface TsigKey {
  /** Wire form, lower case. */
  name: Uint8Array;
  algorithm: TsigAlgorithm;
  secret: Uint8Array;
}

/** Those that must or should be offered (RFC 8945 6) but for HMAC-MD5 and -SHA1, which are broken or near it. */
export const tsigAlgorithms = { "hmac-sha256": 32, "hmac-sha384": 48, "hmac-sha512": 64 } as const;
export type TsigAlgorithm = keyof typeof tsigAlgorithms;

/** Errors that stand in the TSIG record itself (RFC 8945 3). */
export const TsigError = { NONE: 0, BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const;

/** Seconds that the clocks of both may differ. */
export const FUDGE = 300;
/** A MAC may be cut to half its octets, never below this (RFC 8945 5.2.2.1). */
const LEAST_MAC = 10;
export const CLASS_ANY = 255;

/** A TSIG record as it came. */
interface TsigRecord {
  keyName: Uint8Array;
  algorithm: Uint8Array;
  time: number;
  fudge: number;
  mac: Uint8Array;
  originalId: number;
}

/** What became of a query's TSIG; `error` says what the answer's own says. Null: the record is malformed (FORMERR). */
export type TsigVerdict = { error: number; session: TsigSession };

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

/** A name without pointers at `at` (RFC 8945 4.2: none in TSIG), lower case, and where it ends; null when it is none. */
function plainName(bytes: Uint8Array, at: number, end: number): { name: Uint8Array; end: number } | null {
  for (let i = at; i < end && i - at < 255; i += bytes[i]! + 1) {
    if (bytes[i]! > 63) return null;
    if (bytes[i] === 0) return { name: Uint8Array.from(bytes.subarray(at, i + 1), foldOctet), end: i + 1 };
  }
  return null;
}

/** The TSIG record that begins at `at` and is the last of the message `bytes[0..length)`; null: malformed. */
export function readTsig(bytes: Uint8Array, at: number, length: number): TsigRecord | null {
  const owner = plainName(bytes, at, length);
  if (owner === null || owner.end + 10 > length) return null;
  const head = owner.end;
  const ttl = u16(bytes, head + 4) | u16(bytes, head + 6);
  if (u16(bytes, head) !== Type.TSIG || u16(bytes, head + 2) !== CLASS_ANY || ttl !== 0) return null;
  const dataEnd = head + 10 + u16(bytes, head + 8);
  const algorithm = plainName(bytes, head + 10, length);
  if (dataEnd !== length || algorithm === null || algorithm.end + 10 > length) return null;
  const fixed = algorithm.end;
  const macSize = u16(bytes, fixed + 8);
  const after = fixed + 10 + macSize;
  if (after + 6 > length || after + 6 + u16(bytes, after + 4) !== length) return null;
  return {
    keyName: owner.name,
    algorithm: algorithm.name,
    time: u16(bytes, fixed) * 2 ** 32 + u16(bytes, fixed + 2) * 2 ** 16 + u16(bytes, fixed + 4),
    fudge: u16(bytes, fixed + 6),
    mac: Uint8Array.from(bytes.subarray(fixed + 10, after)),
    originalId: u16(bytes, after),
  };
}

export const wireAlgorithm = (algorithm: TsigAlgorithm): Uint8Array => nameToWire(algorithm)!;
const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i]);

export function time48(seconds: number): number[] {
  const high = Math.floor(seconds / 2 ** 32);
  return [high >> 8, high & 255, ...[24, 16, 8, 0].map((shift) => (seconds >>> shift) & 255)];
}

export const word = (value: number): number[] => [value >> 8, value & 255];

/** Octets of the RDATA after the MAC's place, without it: what is signed beside the message (RFC 8945 4.3.3). */
export function variables(
  name: Uint8Array,
  algorithm: Uint8Array,
  time: number,
  fudge: number,
  error: number,
  other: number[],
) {
  const head = [...name, ...word(CLASS_ANY), 0, 0, 0, 0, ...algorithm];
  return Uint8Array.from([...head, ...time48(time), ...word(fudge), ...word(error), ...word(other.length), ...other]);
}

/**
 * Judges the TSIG of a query (RFC 8945 5.2): `bytes[0..length)`, the record at `at`. `keys` are those that are shared
 * with anybody; `now`: seconds since 1970. The session signs the answer. Null: malformed.
 */
export function checkTsig(
  bytes: Uint8Array,
  at: number,
  length: number,
  keys: readonly TsigKey[],
  now: number,
): TsigVerdict | null {
  const record = readTsig(bytes, at, length);
  if (record === null) return null;
  const key = keys.find((k) => same(k.name, record.keyName) && same(wireAlgorithm(k.algorithm), record.algorithm));
  const session = (error: number): TsigVerdict => ({
    error,
    session: new TsigSession(record, key ?? null, error, now),
  });
  if (key === undefined) return session(TsigError.BADKEY);
  const whole = tsigAlgorithms[key.algorithm];
  const size = record.mac.length;
  if (size > whole || size < Math.max(LEAST_MAC, whole / 2)) return null;
  const message = Uint8Array.from(bytes.subarray(0, at));
  // As it was before the record was put to it: its own id, one record less.
  message.set(word(record.originalId), 0);
  message.set(word(u16(bytes, 10) - 1), 10);
  const mac = createHmac(key.algorithm.slice(5), key.secret)
    .update(message)
    .update(requestVariables(bytes, at, record))
    .digest();
  if (!timingSafeEqual(mac.subarray(0, size), record.mac)) return session(TsigError.BADSIG);
  if (Math.abs(now - record.time) > record.fudge) return session(TsigError.BADTIME);
  return session(size < whole ? TsigError.BADTRUNC : TsigError.NONE);
}

/** Error and other data of a request are what it says itself: mostly nothing. */
function requestVariables(bytes: Uint8Array, at: number, record: TsigRecord): Uint8Array {
  const after = at + record.keyName.length + 10 + record.algorithm.length + 10 + record.mac.length + 2;
  const other = [...bytes.subarray(after + 4, after + 4 + u16(bytes, after + 2))];
  return variables(record.keyName, record.algorithm, record.time, record.fudge, u16(bytes, after), other);
}

/** Signs the answer to one query, or all messages of it (RFC 8945 5.3): each with the MAC of the one before. */
export class TsigSession {
  readonly key: TsigKey | null;
  private readonly record: TsigRecord;
  private readonly error: number;
  private readonly now: number;
  private last: Uint8Array;
  private messages = 0;

  constructor(record: TsigRecord, key: TsigKey | null, error: number, now: number) {
    this.record = record;
    this.key = key;
    this.error = error;
    this.now = now;
    this.last = record.mac;
  }

  /** Octets that `sign` puts to a message. */
  get size(): number {
    const mac = this.bare ? 0 : tsigAlgorithms[this.key!.algorithm];
    return this.record.keyName.length + 10 + this.record.algorithm.length + 16 + mac + this.other.length;
  }

  /** A key that is not known or a MAC that is wrong: nothing can be signed (RFC 8945 5.3.2). */
  private get bare(): boolean {
    return this.error === TsigError.BADKEY || this.error === TsigError.BADSIG;
  }

  /** BADTIME tells this clock's time, the client's time stays in its place (RFC 8945 5.2.3). */
  private get other(): number[] {
    return this.error === TsigError.BADTIME ? time48(this.now) : [];
  }

  /** Puts the TSIG record to the message `out[0..length)`; returns its length. `now`: of a message that goes later. */
  sign(out: Uint8Array, length: number, now = this.now): number {
    const { keyName, algorithm } = this.record;
    const time = this.error === TsigError.BADTIME ? this.record.time : now;
    const { other } = this;
    const mac = this.bare ? new Uint8Array(0) : this.mac(out.subarray(0, length), time, other);
    const data = [...algorithm, ...time48(time), ...word(FUDGE), ...word(mac.length), ...mac];
    data.push(out[0]!, out[1]!, ...word(this.error), ...word(other.length), ...other);
    const record = [...keyName, ...word(Type.TSIG), ...word(CLASS_ANY), 0, 0, 0, 0, ...word(data.length), ...data];
    out.set(record, length);
    out.set(word(u16(out, 10) + 1), 10);
    this.last = mac;
    this.messages++;
    return length + record.length;
  }

  private mac(message: Uint8Array, time: number, other: number[]): Uint8Array {
    const { keyName, algorithm } = this.record;
    const hmac = createHmac(this.key!.algorithm.slice(5), this.key!.secret);
    hmac.update(Uint8Array.from([...word(this.last.length), ...this.last])).update(message);
    // Messages after the first: the time alone (RFC 8945 5.3.1).
    if (this.messages > 0) hmac.update(Uint8Array.from([...time48(time), ...word(FUDGE)]));
    else hmac.update(variables(keyName, algorithm, time, FUDGE, this.error, other));
    return Uint8Array.from(hmac.digest());
  }
}
