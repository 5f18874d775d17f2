/**
 * The life of a zone's keys, pure: which exist, which sign, and when that changes (RFC 6781 4.1, RFC 7583). A zone has a
 * key-signing key (KSK), whose digest is the DS in the parent and which signs the DNSKEY set, and a zone-signing key
 * (ZSK), which signs all else. Only the ZSK has to be where questions are answered.
 */
export type Role = "ksk" | "zsk";

/**
 * `published`: in the DNSKEY set, signs nothing that resolvers rely on yet. `ready` (KSK): known everywhere, waits for
 * its DS in the parent. `active`: signs. `retired`: signs no more, still published because caches hold signatures of it.
 */
export type KeyState = "published" | "ready" | "active" | "retired";

export interface ZoneKey {
  role: Role;
  state: KeyState;
  /** Since when, seconds since 1970. */
  since: number;
  tag: number;
  /** DNSKEY RDATA, hex. */
  dnskey: string;
  /** PKCS #8, PEM. Secret. */
  privateKey: string;
}

/** How long things take; seconds. */
export interface KeyTimes {
  dnskeyTtl: number;
  /** Until every server of the zone has what one has. */
  propagation: number;
  /** Longest TTL of any record of the zone. */
  zoneTtl: number;
  /** TTL of the parent's DS. */
  parentTtl: number;
  /** Age at which a ZSK is replaced; null: never by itself. */
  zskLifetime: number | null;
}

export interface Lapse {
  keys: ZoneKey[];
  /** A sentence per change. */
  said: string[];
}

const of = (keys: readonly ZoneKey[], role: Role, ...states: KeyState[]): ZoneKey[] =>
  keys.filter((key) => key.role === role && states.includes(key.state));

/** The keys of a new zone, both at work at once: nobody can have cached anything of it. */
export const firstKeys = (now: number, make: (role: Role) => Omit<ZoneKey, "state" | "since">): ZoneKey[] =>
  (["ksk", "zsk"] as const).map((role) => ({ ...make(role), state: "active", since: now }));

/** When a key comes into its next state by itself, seconds since 1970; null: never, or by an operator's word. */
export function dueAt(key: ZoneKey, times: KeyTimes): number | null {
  const { dnskeyTtl, propagation, zoneTtl, parentTtl, zskLifetime } = times;
  if (key.state === "published") return key.since + dnskeyTtl + propagation;
  if (key.state === "retired") return key.since + (key.role === "zsk" ? zoneTtl : parentTtl) + propagation;
  if (key.role === "zsk" && key.state === "active" && zskLifetime !== null) return key.since + zskLifetime;
  return null;
}

/** Brings keys to `now`: what is due happens. `make` gives a new key of a role. */
export function advance(
  keys: readonly ZoneKey[],
  now: number,
  times: KeyTimes,
  make: (role: Role) => Omit<ZoneKey, "state" | "since">,
): Lapse {
  let next = keys.map((key) => ({ ...key }));
  const said: string[] = [];
  const due = (key: ZoneKey): boolean => (dueAt(key, times) ?? Number.POSITIVE_INFINITY) <= now;
  for (const key of next.filter((k) => k.state === "published" && due(k))) {
    if (key.role === "ksk") {
      Object.assign(key, { state: "ready", since: now });
      said.push(`KSK ${key.tag} is known everywhere: its CDS is published, its DS belongs into the parent`);
      continue;
    }
    for (const old of of(next, "zsk", "active")) {
      Object.assign(old, { state: "retired", since: now });
      said.push(`ZSK ${old.tag} signs no more`);
    }
    Object.assign(key, { state: "active", since: now });
    said.push(`ZSK ${key.tag} signs`);
  }
  for (const key of next.filter((k) => k.state === "retired" && due(k))) {
    next = next.filter((k) => k !== key);
    said.push(`${key.role.toUpperCase()} ${key.tag} is gone`);
  }
  if (of(next, "zsk", "active").some(due) && of(next, "zsk", "published").length === 0) {
    const { keys: more, said: words } = begin(next, "zsk", now, make);
    return { keys: more, said: [...said, ...words] };
  }
  return { keys: next, said };
}

/** Begins to replace the key of a role; nothing when that is under way already. */
export function begin(
  keys: readonly ZoneKey[],
  role: Role,
  now: number,
  make: (role: Role) => Omit<ZoneKey, "state" | "since">,
): Lapse {
  if (of(keys, role, "published", "ready").length > 0) return { keys: [...keys], said: [] };
  // Tags of one zone's keys must differ, or validators try both for every signature.
  let made = make(role);
  while (keys.some(({ tag }) => tag === made.tag)) made = make(role);
  return {
    keys: [...keys, { ...made, state: "published", since: now }],
    said: [`${role.toUpperCase()} ${made.tag} is published, to take over`],
  };
}

/** The parent has the DS of this KSK: it takes over, the old one retires. Null: no KSK of this tag waits for it. */
export function dsSeen(keys: readonly ZoneKey[], tag: number, now: number): Lapse | null {
  if (!of(keys, "ksk", "ready").some((key) => key.tag === tag)) return null;
  const said: string[] = [];
  const next = keys.map((key): ZoneKey => {
    if (key.role !== "ksk") return key;
    if (key.tag === tag) return { ...key, state: "active", since: now };
    if (key.state !== "active") return key;
    said.push(`KSK ${key.tag} is retired: the parent's old DS may still be in caches`);
    return { ...key, state: "retired", since: now };
  });
  return { keys: next, said: [`KSK ${tag} has its DS in the parent`, ...said] };
}

/** KSKs that sign the DNSKEY set: all that are published, so that any DS that a cache holds leads to a good signature. */
export const entryKeys = (keys: readonly ZoneKey[]): ZoneKey[] => keys.filter(({ role }) => role === "ksk");

/** The KSK whose DS the parent should have: what CDS and CDNSKEY name (RFC 7344). */
export const wantedKey = (keys: readonly ZoneKey[]): ZoneKey =>
  of(keys, "ksk", "ready")[0] ?? of(keys, "ksk", "active")[0]!;

/** The ZSK that signs. */
export const signingKey = (keys: readonly ZoneKey[]): ZoneKey => of(keys, "zsk", "active")[0]!;
