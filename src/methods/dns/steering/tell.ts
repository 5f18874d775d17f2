import type { Client } from "../client.ts";
import type { Judged } from "./judged.ts";
import { type Choice, type Kind, type Leaf, loadOf, type Plan, timeOf } from "./plan.ts";
import { byHash, seedsOf } from "./steering.ts";

/** A group that may answer, and in what part of the answers, 0..1. */
export interface Reached {
  leaf: Leaf;
  share: number;
}

/**
 * The groups that answer a client, or (null) one of whom nothing is known: then all that could. `kind`: of the addresses
 * that are asked for; null: they would answer if they had them.
 */
export function reach(
  plan: Plan,
  client: Client | null,
  network: { ipv4: number; ipv6: number },
  seed: number,
  kind: Kind | null,
): Reached[] {
  const walk = (at: Plan, share: number): Reached[] => {
    if (at.kind === "leaf") return [{ leaf: at, share }];
    if (at.kind === "place") return walk(at.parts[client?.place() ?? -1] ?? at.parts.at(-1)!, share);
    const choice: Choice = kind === null ? at : at[kind];
    if (at.kind === "hash" && client !== null)
      return walk(choice.parts[byHash(choice, seedsOf(choice, seed), client.key(network))]!, share);
    const total = choice.weights.reduce((sum, weight) => sum + weight, 0);
    return choice.parts.flatMap((part, i) => walk(part, (share * choice.weights[i]!) / total));
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

/** Which groups of `all` are passed over, because they lack the kind of address that is asked for; null: none. */
export function tellLacking(all: readonly Reached[], reached: readonly Reached[], v6: boolean): string | null {
  const paths = new Set(reached.map(({ leaf }) => leaf.path));
  const lacking = [...new Set(all.map(({ leaf }) => leaf.path))].filter((path) => !paths.has(path));
  if (lacking.length === 0) return null;
  return `Not drawn, without ${v6 ? "IPv6" : "IPv4"} addresses: ${lacking.map((path) => `"${path}"`).join(", ")}.`;
}

/** Which groups answer, a line. */
export function tellReached(reached: readonly Reached[]): string {
  const name = ({ leaf }: Reached): string => (leaf.path === "" ? "all backends" : `"${leaf.path}"`);
  if (reached.length === 1) return `Answered: ${name(reached[0]!)}.`;
  return `Answered, one at a time: ${reached.map((one) => `${name(one)} ${percent(one.share)}`).join(", ")}.`;
}
