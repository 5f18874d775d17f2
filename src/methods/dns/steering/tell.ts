import type { Client } from "../client.ts";
import type { Judged } from "./judged.ts";
import { type Leaf, loadOf, type Plan, timeOf } from "./plan.ts";
import { byHash, seedsOf } from "./steering.ts";

/** A group that may answer, and in what part of the answers, 0..1. */
export interface Reached {
  leaf: Leaf;
  share: number;
}

/** The groups that answer a client, or (null) one of whom nothing is known: then all that could. */
export function reach(
  plan: Plan,
  client: Client | null,
  network: { ipv4: number; ipv6: number },
  seed: number,
): Reached[] {
  const walk = (at: Plan, share: number): Reached[] => {
    if (at.kind === "leaf") return [{ leaf: at, share }];
    if (at.kind === "place") return walk(at.parts[client?.place() ?? -1] ?? at.parts.at(-1)!, share);
    if (at.kind === "hash" && client !== null)
      return walk(at.parts[byHash(at, seedsOf(at, seed), client.key(network))]!, share);
    const total = at.weights.reduce((sum, weight) => sum + weight, 0);
    return at.parts.flatMap((part, i) => walk(part, (share * at.weights[i]!) / total));
  };
  return walk(plan, 1);
}

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;

/** A line for each group, with how it stands; those inside it below, further in. */
export function tellGroups(group: Judged, indent = ""): string[] {
  return group.inside.flatMap((one) => {
    const needed = one.threshold > 0 ? `, ${one.threshold} % needed` : "";
    const inside = one.by === null ? "" : `; ${one.by}:`;
    const [time, load] = [group.by === "latency" ? timeOf(one) : null, group.by === "load" ? loadOf(one) : null];
    const how = `${time === null ? "" : `, ${Math.round(time * 10) / 10} ms`}${load === null ? "" : `, load ${percent(load)}`}`;
    const name = one.tag === null ? "groups" : `"${one.tag}"`;
    const line = `${indent}${name}: ${one.up} of ${one.of} up${how}${needed}${one.good ? "" : ", failed"}${inside}`;
    return [line, ...tellGroups(one, `${indent}  `)];
  });
}

/** Which groups answer, a line. */
export function tellReached(reached: readonly Reached[]): string {
  const name = ({ leaf }: Reached): string => (leaf.path === "" ? "all backends" : `"${leaf.path}"`);
  if (reached.length === 1) return `Answered: ${name(reached[0]!)}.`;
  return `Answered, one at a time: ${reached.map((one) => `${name(one)} ${percent(one.share)}`).join(", ")}.`;
}
