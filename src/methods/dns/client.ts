import { hashBytes } from "../../core/hash.ts";
import { type ClientAddress, prefixText } from "../../geo/prefix.ts";
import type { PrefixTrie } from "../../geo/trie.ts";
import { Type } from "../../protocols/dns/numbers.ts";
import type { Query } from "../../protocols/dns/query.ts";
import { readSubnet } from "../../protocols/dns/subnet.ts";
import type { ServiceAnswers } from "./service-answers.ts";

/**
 * Who asks, for services whose answer hangs on it: the client subnet when the resolver tells it and it is listened to,
 * else the resolver's own address. Knows which place that is in, and sets the scope of the answer (RFC 7871).
 */
export class Client {
  private readonly seed: number;
  private readonly places: PrefixTrie | null;
  private readonly subnets: boolean;
  private query!: Query;
  private own!: ClientAddress;
  private known = false;
  private size = 4;
  private readonly address = new Uint8Array(16);
  private readonly masked = new Uint8Array(16);

  /** `places`: place numbers by network; `subnets`: are client subnets listened to? */
  constructor(seed: number, places: PrefixTrie | null, subnets: boolean) {
    this.seed = seed;
    this.places = places;
    this.subnets = subnets;
  }

  /** The next query; false when its client subnet is malformed. */
  begin(query: Query, own: ClientAddress): boolean {
    this.query = query;
    this.own = own;
    this.known = false;
    if (!this.subnets || query.subnetAt === 0) return true;
    const size = readSubnet(query, this.address);
    if (size < 0) return false;
    query.answerSubnet = true;
    this.size = size;
    this.known = size > 0;
    return true;
  }

  /** Who it is: the network that the resolver tells, or the address that asks. */
  get name(): string {
    const { known, size, address, query } = this;
    if (!known || !query.answerSubnet) return this.asker;
    return prefixText({ bytes: address.slice(0, size), length: query.bytes[query.subnetAt + 2]! });
  }

  /** The address that asks. */
  get asker(): string {
    return this.own.text;
  }

  /**
   * The answers of a service to this client: those of the group that it is steered to, where there are groups. `type`: what
   * is asked for; null: addresses of both kinds.
   */
  answersOf(service: ServiceAnswers, type: number | null): ServiceAnswers {
    const { steering, network } = service;
    if (steering === null) return service;
    return steering.answers(this, network, type === Type.A ? "v4" : type === Type.AAAA ? "v6" : null);
  }

  /**
   * What this client is not given nobody is, so that the answer holds for all (RFC 7871 7.4); unless it asked for a kind of
   * address that clients of another group are given: that answer keeps the scope of what was looked at.
   */
  lacks({ steering }: ServiceAnswers, type: number): void {
    const address = type === Type.A || type === Type.AAAA;
    if (!address || !steering?.gives(type === Type.A ? "v4" : "v6")) this.query.scope = 0;
  }

  /** The number of the place that the client is in; -1: in none. */
  place(): number {
    if (this.places === null) return -1;
    this.resolve();
    const { value, scope } = this.places.find(this.address, 0, this.size);
    this.widen(scope);
    return value;
  }

  /** u32 that stands for the client's network; 0 for a service that does not go by it. */
  keyFor(service: ServiceAnswers): number {
    return service.needsKey ? this.key(service.network) : 0;
  }

  /** u32 that stands for the client's network of so many bits. */
  key(network: { ipv4: number; ipv6: number }): number {
    this.resolve();
    const bits = this.size === 4 ? network.ipv4 : network.ipv6;
    this.widen(bits);
    for (let i = 0; i < this.size; i++) {
      const kept = Math.min(8, Math.max(0, bits - i * 8));
      this.masked[i] = this.address[i]! & (0xff00 >> kept);
    }
    return hashBytes(this.size === 4 ? this.masked.subarray(0, 4) : this.masked, this.seed);
  }

  private resolve(): void {
    if (this.known) return;
    this.known = true;
    this.size = this.own.size;
    this.address.set(this.own.octets);
  }

  /** An answer hangs on at least so many bits. Of a subnet that must not be used nothing is told (RFC 7871 7.1.2). */
  private widen(bits: number): void {
    const { query } = this;
    if (query.answerSubnet && query.bytes[query.subnetAt + 2] !== 0) query.scope = Math.max(query.scope, bits);
  }
}
