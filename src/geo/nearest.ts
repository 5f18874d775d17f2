import { eligibleIds, type Snapshot } from "../core/snapshot.ts";
import type { Place } from "./places.ts";

/** The backends of one place: those with its name among their tags, with tiers of their own. */
export function placeSnapshot(snapshot: Snapshot, place: string): Snapshot {
  const backends = snapshot.backends.filter(({ tags }) => tags.includes(place));
  return { ...snapshot, backends, eligible: eligibleIds(backends) };
}

/** What clients of a place are given. */
export interface Near {
  /** Whose backends they are; null: no place in the order has anybody eligible, so all are. */
  place: string | null;
  snapshot: Snapshot;
}

/**
 * The part of a snapshot that clients of a place get: its own backends, else those of the next place in its order that
 * has somebody eligible, at last all of them. `place` undefined: a client in no place. Pure: directors with equal
 * snapshots agree.
 */
export function nearest(snapshot: Snapshot, place: Place | undefined): Near {
  for (const name of place?.order ?? []) {
    const part = placeSnapshot(snapshot, name);
    if (part.eligible.length > 0) return { place: name, snapshot: part };
  }
  return { place: null, snapshot };
}
