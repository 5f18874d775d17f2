import type { Service } from "../../../core/service.ts";
import type { Snapshot } from "../../../core/snapshot.ts";
import type { Place } from "../../../geo/places.ts";
import type { DnsOptions } from "../options.ts";
import { type Judged, judgeNest, nestOf } from "./judged.ts";
import type { Group, Policy } from "./schema.ts";

/** The backends of one group, whom the scheduler orders. `path` names it; empty: all of the service. */
export interface Leaf {
  kind: "leaf";
  path: string;
  snapshot: Snapshot;
}

/** The kinds of address: what A and what AAAA asks for. */
export type Kind = "v4" | "v6";

/** Groups of which one answers. */
export interface Choice {
  paths: string[];
  /** Above 0, in proportion. */
  weights: number[];
  parts: Plan[];
}

/**
 * One of several is drawn for each answer, or stands by the client's network. For a question of one kind of address only
 * those are drawn that have it (`v4`, `v6`): one that lacks it would give an empty answer, which caches keep.
 */
export interface Draw extends Choice {
  kind: "weighted" | "hash";
  v4: Choice;
  v6: Choice;
}

/** One for each place, in their order, and at last the one for clients of no place. */
export interface ByPlace {
  kind: "place";
  parts: Plan[];
}

/** What is left to be decided when a question comes: everything that hangs on the snapshot alone is decided in it. */
export type Plan = Leaf | Draw | ByPlace;

/**
 * The plan of a service for a snapshot. Pure. Groups that have failed are not in it. When all have, thresholds are
 * forgotten: what is left of a site is better than nothing. When nobody is left in any group: all backends.
 */
export function planOf(service: Service<DnsOptions>, snapshot: Snapshot, places: readonly Place[]): Plan {
  const all: Leaf = { kind: "leaf", path: "", snapshot };
  const nest = nestOf(service, snapshot, places);
  if (nest === null) return all;
  const { upThreshold, steer } = service.options;
  for (const strict of [true, false]) {
    const judged = judgeNest(nest, snapshot, upThreshold, strict);
    // With `nearest` alone, clients of no place are given all backends.
    if (judged.good || (strict && steer === undefined))
      return planOfGroup(judged, places, steer === undefined ? all : null);
  }
  return all;
}

function planOfGroup(group: Judged, places: readonly Place[], elsewhere: Leaf | null): Plan {
  const { by, inside, path, snapshot } = group;
  if (by === null) return { kind: "leaf", path, snapshot };
  const good = inside.filter((one) => one.good);
  const planned = (one: Judged): Plan => planOfGroup(one, places, null);
  if (by === "failover") return planned(good[0]!);
  if (by === "latency") return planned(fastest(good));
  if (by === "nearest") {
    const rest = elsewhere ?? planned(good[0]!);
    const plans = new Map(good.map((one) => [one, one === good[0] && elsewhere === null ? rest : planned(one)]));
    const nearest = ({ order }: Place): Plan => {
      for (const name of order) {
        const found = good.find(({ tag }) => tag === name);
        if (found) return plans.get(found)!;
      }
      return rest;
    };
    return { kind: "place", parts: [...places.map(nearest), rest] };
  }
  if (good.length === 1) return planned(good[0]!);
  const weights = by === "load" ? roomOf(good) : good.map(({ weight }) => weight);
  const all: Choice = { paths: good.map((one) => pathOf(one)), weights, parts: good.map(planned) };
  return { kind: by === "hash" ? "hash" : "weighted", ...all, v4: having(all, "v4"), v6: having(all, "v6") };
}

/** Those of some groups that have eligible backends of a kind; all, where that is none or all of them. */
function having(all: Choice, kind: Kind): Choice {
  const kept = all.parts.flatMap((part, i) => (has(part, kind) ? [i] : []));
  if (kept.length === 0 || kept.length === all.parts.length) return all;
  const of = <T>(list: readonly T[]): T[] => kept.map((i) => list[i]!);
  return { paths: of(all.paths), weights: of(all.weights), parts: of(all.parts) };
}

/** The groups that some client gets, each once. */
export function leavesOf(plan: Plan): Leaf[] {
  const leaves = new Map<string, Leaf>();
  const walk = (at: Plan): void => {
    if (at.kind === "leaf") leaves.set(at.path, at);
    else at.parts.forEach(walk);
  };
  walk(plan);
  return [...leaves.values()];
}

/** Does it give any client addresses of a kind? */
export function has(plan: Plan, kind: Kind): boolean {
  if (plan.kind !== "leaf") return plan.parts.some((part) => has(part, kind));
  const { backends, eligible } = plan.snapshot;
  const ids = new Set(eligible);
  return backends.some(({ id, address }) => address.includes(":") === (kind === "v6") && ids.has(id));
}

/** Groups within this of the fastest one are as fast: what they differ by is noise. */
const AS_FAST = 1.25;

/** Mean time in which a group's eligible backends answer checks, ms; null where nothing is known. */
export function timeOf({ snapshot: { backends, eligible } }: Judged): number | null {
  const ids = new Set(eligible);
  const known = backends.flatMap(({ id, latency }) => (latency !== undefined && ids.has(id) ? [latency] : []));
  return known.length === 0 ? null : known.reduce((sum, ms) => sum + ms, 0) / known.length;
}

/** The first group that is as fast as the fastest; one of which nothing is known is the slowest. */
function fastest(groups: readonly Judged[]): Judged {
  const times = groups.map((group) => timeOf(group) ?? Number.POSITIVE_INFINITY);
  const least = Math.min(...times);
  return groups[times.findIndex((time) => time <= least * AS_FAST)]!;
}

/** What tells a group from its siblings: a group without a tag is known by what is in it. */
const pathOf = ({ tag, path, inside }: Judged): string =>
  tag === null ? `${path}(${inside.map(pathOf).join(" ")})` : path;

/** Nobody is so loaded that nothing at all is sent: what a backend reports is old by then. */
const LEAST_ROOM = 0.01;

/** Weight times the part of its eligible backends' capacity that is free; where nothing is reported, as the others are. */
function roomOf(groups: readonly Judged[]): number[] {
  const loads = groups.map(loadOf);
  const known = loads.filter((load) => load !== null);
  const usual = known.length === 0 ? 0 : known.reduce((sum, load) => sum + load, 0) / known.length;
  return groups.map(({ weight }, i) => weight * Math.max(LEAST_ROOM, 1 - (loads[i] ?? usual)));
}

/** Mean of what a group's eligible backends report, by weight; null when none does. */
export function loadOf({ snapshot: { backends, eligible } }: Judged): number | null {
  const ids = new Set(eligible);
  const some = backends.filter(({ id, load }) => load !== null && ids.has(id));
  const total = some.reduce((sum, { weight }) => sum + weight, 0);
  return total === 0 ? null : some.reduce((sum, { weight, load }) => sum + weight * load!, 0) / total;
}

/** Is a policy anywhere in these groups? */
export const goesBy = ({ by, groups = [] }: { by?: Policy; groups?: Group[] }, policy: Policy): boolean =>
  by === policy || groups.some((group) => goesBy(group, policy));
