/** What a host says of a file. `modified`: s since 1970; null: it does not say. */
export interface Version {
  size: number;
  modified: number | null;
  /** `Digest` (RFC 3230) or `Repr-Digest` (RFC 9530) with SHA-256, base64; null: it says none. */
  digest: string | null;
}

/** `missing`: it says that it has no such file. `silent`: it says nothing that can be used. */
export type Finding = Version | "missing" | "silent";

/** Who has a file, in the version that counts. */
export interface Agreed {
  /** Null: nobody has it. */
  version: Version | null;
  /** Ids, ascending. */
  holders: number[];
  /** Nobody has it, and that was said: by the reference, or by all. Where somebody said nothing, it may be there. */
  missing: boolean;
}

/** The same size, and the same time and digest where both say one. */
const same = (a: Version, b: Version): boolean =>
  a.size === b.size && agreeing(a.modified, b.modified) && agreeing(a.digest, b.digest);
const agreeing = <T>(a: T | null, b: T | null): boolean => a === null || b === null || a === b;

const isVersion = (finding: Finding | null): finding is Version => typeof finding === "object" && finding !== null;

/**
 * Which backends have the file as it should be. `reference` rules: what it has not, nobody has; null or silent: the
 * version of most backends counts, of equally many the newest. Pure: workers that saw the same say the same.
 */
export function agree(findings: ReadonlyMap<number, Finding>, reference: Finding | null): Agreed {
  if (reference === "missing") return { version: null, holders: [], missing: true };
  const having = [...findings].filter((entry): entry is [number, Version] => isVersion(entry[1]));
  having.sort(([a], [b]) => a - b);
  const version = isVersion(reference) ? reference : mostHeld(having.map(([, one]) => one));
  const missing = findings.size > 0 && [...findings.values()].every((finding) => finding === "missing");
  if (version === null) return { version, holders: [], missing };
  return { version, holders: having.filter(([, one]) => same(one, version)).map(([id]) => id), missing: false };
}

/** Does `b` say all that `a` does, the same, and something that `a` does not? */
const saysMore = (a: Version, b: Version): boolean =>
  same(a, b) &&
  !(a.modified !== null && b.modified === null) &&
  !(a.digest !== null && b.digest === null) &&
  ((a.modified === null && b.modified !== null) || (a.digest === null && b.digest !== null));

/** Who says little agrees with many that do not agree with each other: only what nobody says better is a version. */
function mostHeld(versions: readonly Version[]): Version | null {
  let best: Version | null = null;
  let most = 0;
  for (const one of versions) {
    if (versions.some((other) => saysMore(one, other))) continue;
    const count = versions.filter((other) => same(one, other)).length;
    const newer = (one.modified ?? -1) > (best?.modified ?? -1);
    if (count > most || (count === most && newer)) [best, most] = [one, count];
  }
  return best;
}
