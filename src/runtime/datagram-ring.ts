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
/** Slots lie this much more than their size apart: at a power of two they would all want the same lines of the cache. */
const ODD = 192;

/** Datagrams and their peers in memory that stays in its place, as recvmmsg(2) and sendmmsg(2) take them. */
export class DatagramRing {
  /** The room for each datagram. */
  readonly slots: readonly Uint8Array[];
  /** Each slot's sockaddr. */
  readonly peers: readonly Uint8Array[];
  private readonly headers: number;
  private readonly words: Uint32Array;
  private readonly pieces: Uint32Array;
  private readonly names: Uint8Array;
  /** Whose peer each slot names. */
  private readonly named: Uint16Array;

  /** @param count datagrams; @param size most octets of one. `names`: another ring's peers are named instead of own ones. */
  constructor(count: number, size: number, names?: DatagramRing) {
    const stride = size + ODD;
    const octets = new Uint8Array(count * stride);
    this.names = names?.names ?? new Uint8Array(count * PEER_STRIDE);
    this.named = new Uint16Array(count);
    this.words = new Uint32Array((count * HEADER) / 4);
    this.pieces = new Uint32Array((count * PIECE) / 4);
    this.slots = Array.from({ length: count }, (_, i) => octets.subarray(i * stride, i * stride + size));
    this.peers = Array.from({ length: count }, (_, i) => this.names.subarray(i * PEER_STRIDE, i * PEER_STRIDE + PEER));
    for (let i = 0; i < count; i++) {
      pointer(this.pieces, i * PIECE, ptr(octets, i * stride));
      this.pieces[(i * PIECE + 8) / 4] = size;
      pointer(this.words, i * HEADER + VECTOR, ptr(this.pieces, i * PIECE));
      this.words[(i * HEADER + VECTORS) / 4] = 1;
      this.name(i, i);
    }
    this.headers = ptr(this.words);
  }

  /** `struct mmsghdr` of a slot and those behind it. */
  at(slot: number): Pointer {
    return (this.headers + slot * HEADER) as Pointer;
  }

  /** Makes the first `count` slots ready to be filled by recvmmsg(2), which has changed the sizes of their peers. */
  clear(count: number): void {
    for (let i = 0; i < count; i++) this.words[(i * HEADER + NAME_SIZE) / 4] = PEER;
  }

  /** Octets that have come to a slot. */
  length(slot: number): number {
    return this.words[(slot * HEADER + LENGTH) / 4]!;
  }

  /** What a slot sends: its first `length` octets, to the peer of slot `to` of the ring that names the peers. */
  fill(slot: number, length: number, to: number, peerSize: number): void {
    this.pieces[(slot * PIECE + 8) / 4] = length;
    this.words[(slot * HEADER + NAME_SIZE) / 4] = peerSize;
    if (this.named[slot] !== to) this.name(slot, to);
  }

  private name(slot: number, peer: number): void {
    this.named[slot] = peer;
    pointer(this.words, slot * HEADER + NAME, ptr(this.names, peer * PEER_STRIDE));
  }
}

/** Writes a pointer, which is a number below 2^53, at octet `at`. */
function pointer(words: Uint32Array, at: number, value: number): void {
  words[at / 4] = value % 2 ** 32;
  words[at / 4 + 1] = value / 2 ** 32;
}
