import type { Backend } from "../../../core/backend.ts";
import type { GroupState } from "../../../core/method.ts";
import type { Geography, Service } from "../../../core/service.ts";
import { eligibleIds, type Snapshot } from "../../../core/snapshot.ts";
import { type Place, placesOf } from "../../../geo/places.ts";
import type { DnsOptions } from "../options.ts";
import type { Group, Nest, Policy } from "./schema.ts";

/** A group as it is at one moment. */
export interface Judged {
  /** Its tag and those of the groups around it, outermost first: `east/main`. Empty: all backends. */
  path: string;
  /** Its own tag. */
  tag: string | null;
  weight: number;
  /** Its backends, with tiers of their own. */
  snapshot: Snapshot;
  /** Backends that are up, of those that no operator has taken out. */
  up: number;
  of: number;
  /** Percent that must be up. */
  threshold: number;
  /** Can it be chosen? Not with fewer up than that, and not when all groups inside have failed. */
  good: boolean;
  by: Policy | null;
  inside: Judged[];
}

const serves = ({ state, weight }: Backend): boolean => weight > 0 && (state === "up" || state === "unchecked");
const counts = ({ state, weight }: Backend): boolean => weight > 0 && state !== "draining" && state !== "maintenance";

/** A part of a service's backends, as a snapshot. */
const partOf = (snapshot: Snapshot, backends: readonly Backend[]): Snapshot => ({
  ...snapshot,
  backends,
  eligible: eligibleIds(backends),
});

/**
 * A group and those inside it. Failure goes upward: a group of which no part is good is not good itself, so that the
 * policy around it chooses another. `inherited`: the threshold around it; `strict` false: every threshold is 0.
 */
function judgeGroup(around: Snapshot, group: Group, path: string, inherited: number, strict: boolean): Judged {
  const { tag, by, groups = [], weight } = group;
  const threshold = group.upThreshold ?? inherited;
  const tagged = around.backends.filter(({ tags }) => tag === undefined || tags.includes(tag));
  const snapshot = tag === undefined ? around : partOf(around, tagged);
  const here = tag === undefined ? path : path === "" ? tag : `${path}/${tag}`;
  const inside = groups.map((one) => judgeGroup(snapshot, one, here, threshold, strict));
  const [up, of] = [tagged.filter(serves).length, tagged.filter(counts).length];
  const enough = snapshot.eligible.length > 0 && (!strict || up * 100 >= of * threshold);
  const good = enough && (inside.length === 0 || inside.some((one) => one.good));
  return { path: here, tag: tag ?? null, weight, snapshot, up, of, threshold, good, by: by ?? null, inside };
}

/** The groups of a service that goes by groups; null for one that does not. `nearest` is one group for each place. */
export function nestOf(
  { options, nearest }: Service<DnsOptions>,
  { backends }: Snapshot,
  places: readonly Place[],
): Nest | null {
  if (options.steer !== undefined) return options.steer;
  if (!nearest || places.length === 0) return null;
  const tagged = places.filter(({ name }) => backends.some(({ tags }) => tags.includes(name)));
  return { by: "nearest", groups: tagged.map(({ name }) => ({ tag: name, weight: 1 })) };
}

/** The whole of a service, judged: a group around all others, without a threshold of its own. */
export function judgeNest({ by, groups }: Nest, snapshot: Snapshot, threshold: number, strict: boolean): Judged {
  const all = judgeGroup(snapshot, { weight: 1, upThreshold: 0 }, "", 0, strict);
  const inside = groups.map((one) => judgeGroup(snapshot, one, "", threshold, strict));
  return { ...all, by, inside, good: inside.some((one) => one.good) };
}

/** How the groups of a service stand; those without a tag are nobody's to look at. */
export function groupStates(service: Service<DnsOptions>, snapshot: Snapshot, geography: Geography): GroupState[] {
  if (service.options.steer === undefined && !service.nearest) return [];
  const nest = nestOf(service, snapshot, placesOf(geography));
  if (nest === null) return [];
  const told = ({ inside }: Judged): GroupState[] =>
    inside.flatMap((one) => [
      ...(one.tag === null ? [] : [{ path: one.path, up: one.up, of: one.of, good: one.good }]),
      ...told(one),
    ]);
  const all = told(judgeNest(nest, snapshot, service.options.upThreshold, true));
  // The same backends may stand in two groups without a tag: one line is enough.
  return all.filter(({ path }, i) => all.findIndex((one) => one.path === path) === i);
}
