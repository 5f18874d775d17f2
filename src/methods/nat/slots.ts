import { backendName } from "../../core/backend.ts";
import { hashText } from "../../core/hash.ts";
import type { SchedulerDefinition } from "../../core/scheduler.ts";
import type { NatService } from "./compile.ts";

/** Primes: Maglev's table needs one. */
const SIZES = [251, 1021, 4093, 16381];
/** Slots per backend that keep the share of each within about 1 % of its weight (Maglev paper, section 5.3). */
const PER_BACKEND = 100;

/** How many slots a set of `backends` gets. */
export const slotCount = (backends: number): number =>
  SIZES.find((size) => size >= backends * PER_BACKEND) ?? SIZES.at(-1)!;

/** Seed of a service's hash, u32, never 0 (which nft takes as "choose one"). */
export const hashSeed = (service: Pick<NatService, "name" | "seed">): number =>
  hashText(service.name, service.seed) || 1;

/**
 * The service's table: backend ids, one per slot, or one per turn of a scheduler whose turns the rules take; empty when
 * no backend is eligible.
 */
export function fillSlots(service: NatService, definition: SchedulerDefinition): number[] {
  const { eligible } = service;
  if (eligible.length === 0) return [];
  const byId = new Map(service.backends.map((backend) => [backend.id, backend]));
  const backends = eligible.map((id) => byId.get(id)!);
  const set = {
    ids: eligible,
    names: backends.map((backend) => backendName(backend)),
    weights: backends.map(({ weight }) => weight),
  };
  const env = { random: Math.random, now: () => performance.now(), load: () => 0, seed: service.seed };
  const scheduler = definition.create(set, service.scheduler.options, env);
  const out = new Uint16Array(slotCount(eligible.length));
  if (!takesTurns(definition)) scheduler.slots!(out);
  const used = takesTurns(definition) ? out.subarray(0, scheduler.turns!(out)) : out;
  return Array.from(used, (index) => eligible[index]!);
}

/** Its choice is a list that is walked over and over. */
export const takesTurns = ({ faces, needs }: Pick<SchedulerDefinition, "faces" | "needs">): boolean =>
  faces.includes("kernel") && needs.load === undefined;
