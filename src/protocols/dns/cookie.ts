import { sipHash24 } from "./siphash.ts";

/** Octets: client cookie, server cookie (RFC 9018 4), both. */
const CLIENT_COOKIE = 8;
const SERVER_COOKIE = 16;
export const WHOLE_COOKIE = CLIENT_COOKIE + SERVER_COOKIE;

/** Seconds a cookie is good for, how far it may be ahead of our clock, and after which it is replaced (RFC 9018 4.3). */
const LIFE = 3600;
const AHEAD = 300;
const RENEW = 1800;

/**
 * Interoperable server cookies (RFC 9018): servers of one address that share a secret accept each other's. Of several
 * secrets the first makes cookies, all are accepted, so that one can be changed without a gap (RFC 9018 5).
 */
export class Cookies {
  private readonly secrets: readonly Uint8Array[];
  private readonly clock: () => number;
  /** Client cookie, version, reserved, time, address: what is hashed. */
  private readonly input = new Uint8Array(CLIENT_COOKIE + 8 + 16);
  private readonly hash = new Uint8Array(8);

  /** `secrets`: 16 octets each, at least one. `clock`: seconds since 1970. */
  constructor(secrets: readonly Uint8Array[], clock: () => number) {
    this.secrets = secrets;
    this.clock = clock;
  }

  /**
   * Judges the cookie at `bytes[at..at + length)` (client, then perhaps server cookie) of the client at `address[0..size)`
   * (4 or 16 octets), and writes the cookie of the answer, 24 octets, to `out`. True: the client has a valid one.
   */
  check(bytes: Uint8Array, at: number, length: number, address: Uint8Array, size: number, out: Uint8Array): boolean {
    const { input } = this;
    const now = this.clock() >>> 0;
    for (let i = 0; i < CLIENT_COOKIE; i++) input[i] = bytes[at + i]!;
    input.set(address.subarray(0, size), 16);
    let valid = false;
    let renew = true;
    if (length === WHOLE_COOKIE && bytes[at + 8] === 1) {
      for (let i = 8; i < 16; i++) input[i] = bytes[at + i]!;
      // Serial number arithmetic (RFC 1982): the time is 32 bits of the clock.
      const passed = (now - this.time()) | 0;
      const secret = passed <= LIFE && passed >= -AHEAD ? this.secretOf(bytes, at + 16, size) : -1;
      valid = secret >= 0;
      renew = secret !== 0 || passed > RENEW;
    }
    if (renew) this.fresh(now, size);
    else for (let i = 0; i < 8; i++) this.hash[i] = bytes[at + 16 + i]!;
    for (let i = 0; i < 16; i++) out[i] = input[i]!;
    for (let i = 0; i < 8; i++) out[16 + i] = this.hash[i]!;
    return valid;
  }

  private time(): number {
    const { input } = this;
    return ((input[12]! << 24) | (input[13]! << 16) | (input[14]! << 8) | input[15]!) >>> 0;
  }

  /** Which secret the hash at `at` was made with; -1: none of ours. */
  private secretOf(bytes: Uint8Array, at: number, size: number): number {
    for (let secret = 0; secret < this.secrets.length; secret++) {
      sipHash24(this.secrets[secret]!, this.input, 16 + size, this.hash, 0);
      // All octets, whatever the first say: the time must not tell how many were right.
      let difference = 0;
      for (let i = 0; i < 8; i++) difference |= this.hash[i]! ^ bytes[at + i]!;
      if (difference === 0) return secret;
    }
    return -1;
  }

  private fresh(now: number, size: number): void {
    const { input } = this;
    input.fill(0, 8, 12);
    input[8] = 1;
    for (let i = 0; i < 4; i++) input[12 + i] = (now >>> (24 - 8 * i)) & 0xff;
    sipHash24(this.secrets[0]!, input, 16 + size, this.hash, 0);
  }
}
