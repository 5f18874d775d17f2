import type { Scheduler } from "../core/scheduler.ts";
import { turns as at, Limit, load as loadAt } from "./generated/layout.ts";
import type { LocalBackend } from "./local-backend.ts";
import { elementBytes, getWord, type PlaneMemory, setWord } from "./memory.ts";

/** What a service that remembers has to say of one round: local numbers in their order, and everybody's weight. */
export interface Round {
  turns: Uint16Array;
  /** By local number; who is absent gets nothing new. */
  weights: ReadonlyMap<number, number>;
}

/** The round of a scheduler of face `kernel` over these backends, which are in the order of its set. */
export function roundOf(scheduler: Scheduler, chosen: readonly LocalBackend[], weights: readonly number[]): Round {
  const indices = new Uint16Array(Limit.TURNS);
  const count = chosen.length === 0 ? 0 : scheduler.turns!(indices);
  return {
    turns: indices.subarray(0, count).map((index) => chosen[index]!.local),
    weights: new Map(chosen.map(({ local }, i) => [local, weights[i]!])),
  };
}

const element = (memory: PlaneMemory, service: number, copy: number) => {
  const bytes = elementBytes(memory.turns, 2 * service + copy);
  return new Uint16Array(bytes.buffer, bytes.byteOffset + at.turn, Limit.TURNS);
};

/**
 * Fills the copy that nobody reads. Whose turn it is stays: the first of those to come who is still there, as far on in
 * the round as it was.
 */
export function writeRound(
  memory: PlaneMemory,
  service: number,
  copy: number,
  { turns, weights }: Round,
  locals: Iterable<LocalBackend>,
): void {
  const cursor = carriedCursor(memory, service, 1 - copy, turns);
  element(memory, service, copy).set(turns);
  const index = 2 * service + copy;
  let top = 0;
  for (const { local, number } of locals) {
    top = Math.max(top, local + 1);
    setWord(memory.loads, number, loadAt.weight, weights.get(local) ?? 0);
  }
  setWord(memory.turns, index, at.cursor, cursor);
  setWord(memory.turns, index, at.count, turns.length);
  setWord(memory.turns, index, at.top, top);
}

function carriedCursor(memory: PlaneMemory, service: number, before: number, next: Uint16Array): number {
  const count = getWord(memory.turns, 2 * service + before, at.count);
  if (count === 0 || next.length === 0) return 0;
  const old = element(memory, service, before);
  const cursor = getWord(memory.turns, 2 * service + before, at.cursor) % count;
  const from = Math.floor((cursor / count) * next.length);
  const present = new Set(next);
  for (let step = 0; step < count; step++) {
    const local = old[(cursor + step) % count]!;
    if (!present.has(local)) continue;
    const place = next.indexOf(local, from);
    return place >= 0 ? place : next.indexOf(local);
  }
  return 0;
}

/** Flows of one backend that are open now, and all that it was ever given. */
export function flowsOf(memory: PlaneMemory, number: number): { active: number; connections: number } {
  const begun = memory.loads.view.getBigUint64(number * memory.loads.size + loadAt.begun, true);
  // A count that the program is just taking back may show below 0 for a moment.
  return { active: Math.max(0, getWord(memory.loads, number, loadAt.open) | 0), connections: Number(begun) };
}

/** Before a number is used again. */
export const clearFlows = (memory: PlaneMemory, number: number): void => {
  elementBytes(memory.loads, number).fill(0);
};

/** Before a service's number is used again: a fresh one carries nobody's turn on. */
export function forgetRounds(memory: PlaneMemory, service: number): void {
  for (const copy of [0, 1]) setWord(memory.turns, 2 * service + copy, at.count, 0);
}
