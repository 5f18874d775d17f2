import { HEADER, MAX_LABEL, MAX_NAME, Option, Type } from "../../../protocols/dns/numbers.ts";
import type { Slot } from "../../../runtime/datagram-ring.ts";

/** Of OPT without options: root, type, size, extended rcode, version, flags, length of its data. */
export const OPT = 11;
/** Of the client subnet option, code and length included, at its longest (RFC 7871 6). */
const MOST_SUBNET = 24;
const SUBNET_HEAD = 8;
/** Words of the header, as this machine reads them: one question, no other record; one additional record. */
const ONE_QUESTION = 0x0100;
const ONE_RECORD = 0x01000000;

/**
 * A query as most are: one question of class IN, and an OPT that holds no option but a client subnet. Anything else, and
 * whatever is not quite right, is not plain, and is for the parser to judge.
 */
export class PlainQuery {
  /** Octets of the question's name, and where the question ends in the slot's memory. */
  nameLength = 0;
  end = 0;
  type = 0;
  /** Octets of the answer's OPT; 0: none. */
  opt = 0;
  /** The client's UDP size as sent; 0 without OPT. */
  udpSize = 0;
  dnssecOk = false;
  /** The option, as it came: the answer is written over it. */
  readonly subnet = new Uint8Array(MOST_SUBNET);

  /** Reads the first `length` octets of a slot; false: it is not plain. `subnets`: are client subnets listened to? */
  read({ memory: { bytes, words }, at }: Slot, length: number, subnets: boolean): boolean {
    const word = at >> 2;
    const records = words[word + 2]!;
    // QR and the operation are 0 in what is plain.
    if (length < HEADER || (bytes[at + 2]! & 0xf8) !== 0 || words[word + 1] !== ONE_QUESTION) return false;
    const stop = at + length;
    let end = at + HEADER;
    while (true) {
      if (end >= stop) return false;
      const size = bytes[end]!;
      if (size === 0) break;
      if (size > MAX_LABEL) return false;
      end += size + 1;
    }
    this.nameLength = ++end - at - HEADER;
    if (this.nameLength > MAX_NAME || end + 4 > stop || bytes[end + 2] !== 0 || bytes[end + 3] !== 1) return false;
    this.type = (bytes[end]! << 8) | bytes[end + 1]!;
    this.end = end + 4;
    this.opt = this.udpSize = 0;
    this.dnssecOk = false;
    if (records === ONE_RECORD) return this.readOpt(bytes, this.end, stop, subnets);
    return records === 0 && this.end === stop;
  }

  private readOpt(bytes: Uint8Array, at: number, stop: number, subnets: boolean): boolean {
    const size = stop - at;
    if (size < OPT || bytes[at] !== 0 || bytes[at + 1] !== 0 || bytes[at + 2] !== Type.OPT) return false;
    if (bytes[at + 6] !== 0 || size !== OPT + ((bytes[at + 9]! << 8) | bytes[at + 10]!)) return false;
    this.opt = OPT;
    this.udpSize = (bytes[at + 3]! << 8) | bytes[at + 4]!;
    this.dnssecOk = (bytes[at + 7]! & 0x80) !== 0;
    return size === OPT || this.readSubnet(bytes, at + OPT, size - OPT, subnets);
  }

  /** One that `readSubnet` would take, or that nobody listens to. */
  private readSubnet(bytes: Uint8Array, at: number, size: number, subnets: boolean): boolean {
    if (size < SUBNET_HEAD || bytes[at] !== 0 || bytes[at + 1] !== Option.ECS) return false;
    if (((bytes[at + 2]! << 8) | bytes[at + 3]!) !== size - 4) return false;
    if (!subnets) return true;
    if (size > MOST_SUBNET) return false;
    const family = (bytes[at + 4]! << 8) | bytes[at + 5]!;
    const source = bytes[at + 6]!;
    const octets = (source + 7) >> 3;
    if (bytes[at + 7] !== 0 || size !== SUBNET_HEAD + octets) return false;
    if ((family !== 1 || source > 32) && (family !== 2 || source > 128)) return false;
    if ((source & 7) !== 0 && (bytes[at + size - 1]! & (0xff >> (source & 7))) !== 0) return false;
    this.opt += size;
    for (let i = 0; i < size; i++) this.subnet[i] = bytes[at + i]!;
    return true;
  }
}
