import { type Pointer, ptr } from "./ffi.ts";

/** Octets of `struct mmsghdr`, and where its fields lie, on 64-bit Linux. */
const HEADER = 64;
const NAME = 0;
const NAME_SIZE = 8;
const VECTOR = 16;
const VECTORS = 24;
/** Octets that were moved. */
const LENGTH = 56;
/** Octets of `struct iovec`. */
const PIECE = 16;
/** Of `struct sockaddr_in6`, the longest that comes. */
export const PEER = 28;
const PEER_STRIDE = 32;
/** Of a line of the cache, octets. */
const LINE = 64;

/** Octets in memory, as numbers of each width. */
export interface Memory {
  bytes: Uint8Array;
  words: Int32Array;
  view: DataView;
}

/** Where one datagram lies, and its answer will: octets of `memory` from `at` on, a multiple of 64; `octets` are they alone. */
export interface Slot {
  memory: Memory;
  at: number;
  octets: Uint8Array;
}

/** Slots lie an odd number of lines apart: at a power of two they would all want the same lines of the cache. */
const strideOf = (size: number): number => (Math.ceil(size / LINE) | 1) * LINE;

/** `count` slots of `size` octets side by side. */
export function makeSlots(count: number, size: number): Slot[] {
  const stride = strideOf(size);
  const bytes = new Uint8Array(count * stride);
  const memory: Memory = { bytes, words: new Int32Array(bytes.buffer), view: new DataView(bytes.buffer) };
  return Array.from({ length: count }, (_, i) => {
    const at = i * stride;
    return { memory, at, octets: bytes.subarray(at, at + size) };
  });
}

/** What recvmmsg(2) and sendmmsg(2) take, in memory that stays in its place: `struct mmsghdr` and what they point to. */
class Headers {
  readonly words: Uint32Array;
  readonly pieces: Uint32Array;
  private readonly first: number;

  constructor(count: number) {
    this.words = new Uint32Array((count * HEADER) / 4);
    this.pieces = new Uint32Array((count * PIECE) / 4);
    for (let i = 0; i < count; i++) {
      pointer(this.words, i * HEADER + VECTOR, ptr(this.pieces, i * PIECE));
      this.words[(i * HEADER + VECTORS) / 4] = 1;
    }
    this.first = ptr(this.words);
  }

  /** `struct mmsghdr` of a place and those behind it. */
  at(place: number): Pointer {
    return (this.first + place * HEADER) as Pointer;
  }
}

/**
 * Datagrams and their peers, many in one system call. What has come may be answered in its own slot: of the answers only
 * their lengths are written, and the kernel finds them where it has put the questions, in the cache.
 */
export class DatagramRing {
  readonly slots: readonly Slot[];
  /** Each slot's sockaddr. */
  readonly peers: readonly Uint8Array[];
  private readonly size: number;
  private readonly incoming: Headers;
  private readonly outgoing: Headers;
  private readonly names: Uint8Array;
  /** Whose slot each answer names. */
  private readonly named: Int16Array;

  /** @param count datagrams; @param size most octets of one, the answer included. */
  constructor(count: number, size: number) {
    this.size = size;
    this.slots = makeSlots(count, size);
    this.names = new Uint8Array(count * PEER_STRIDE);
    this.peers = this.slots.map((_, i) => this.names.subarray(i * PEER_STRIDE, i * PEER_STRIDE + PEER));
    this.named = new Int16Array(count).fill(-1);
    this.incoming = new Headers(count);
    this.outgoing = new Headers(count);
    for (let i = 0; i < count; i++) this.name(this.incoming, i, i);
    this.clear(count);
  }

  /** For recvmmsg(2): all slots. */
  get arrivals(): Pointer {
    return this.incoming.at(0);
  }

  /** For sendmmsg(2): the answers from one on. */
  answers(from: number): Pointer {
    return this.outgoing.at(from);
  }

  /** Makes the first `count` slots ready to be filled again: recvmmsg(2) has changed the sizes of their peers. */
  clear(count: number): void {
    for (let i = 0; i < count; i++) this.incoming.words[(i * HEADER + NAME_SIZE) / 4] = PEER;
  }

  /** Octets that have come to a slot. */
  length(slot: number): number {
    return this.incoming.words[(slot * HEADER + LENGTH) / 4]!;
  }

  /** Of a place among the answers: the first `length` octets of a slot, to that slot's peer. */
  fill(place: number, slot: number, length: number, peerSize: number): void {
    const { outgoing, named } = this;
    if (named[place] !== slot) {
      named[place] = slot;
      this.name(outgoing, place, slot);
    }
    outgoing.pieces[(place * PIECE + 8) / 4] = length;
    outgoing.words[(place * HEADER + NAME_SIZE) / 4] = peerSize;
  }

  private name({ words, pieces }: Headers, place: number, slot: number): void {
    const { memory, at } = this.slots[slot]!;
    pointer(pieces, place * PIECE, ptr(memory.bytes, at));
    pieces[(place * PIECE + 8) / 4] = this.size;
    pointer(words, place * HEADER + NAME, ptr(this.names, slot * PEER_STRIDE));
  }
}

/** Writes a pointer, which is a number below 2^53, at octet `at`. */
function pointer(words: Uint32Array, at: number, value: number): void {
  words[at / 4] = value % 2 ** 32;
  words[at / 4 + 1] = value / 2 ** 32;
}
