/** What workers need to sign: plain JSON, sent to them over their pipe, never part of the configuration. */
export interface ZoneSecrets {
  /** Lower case, no trailing dot. */
  zone: string;
  /** TTL of the sets below, seconds. */
  ttl: number;
  /** DNSKEY, CDS and CDNSKEY, each with the signatures that only the key-signing keys can make. Hex. */
  sets: { type: number; rdata: string[]; rrsigs: string[] }[];
  /** What the parent should have as DS; hex. */
  ds: string[];
  /** The zone-signing key that signs now: the one secret in it. */
  zsk: { tag: number; privateKey: string };
}

export interface DnsSecrets {
  zones: ZoneSecrets[];
}
