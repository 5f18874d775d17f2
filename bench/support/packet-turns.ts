/** What a program costs for each packet, beside one that only sends back what comes. */
import { medianInterval } from "../lib.ts";
import type { Load, Rig } from "./packet-rig.ts";
import { median } from "./wrk.ts";

/** Of four turns each, A B B A, of one sending: 131,072 packets. */
const QUADS = 32;
/** How often a row may be measured, while the machine is not itself. */
const TRIES = 6;
/** The machine is itself: so much more than the least may the bare way take. */
const DISTURBED = 1.08;
/** And it stays itself: so wide may the interval be, in ns and as a part of what stands in its middle. */
const STEADY_NS = 3;
const STEADY_PART = 0.08;

/** ns for each packet. */
export interface Costs {
  /** Of a run by the kernel's statistics, the program's and the bare one's. */
  own: number;
  bare: number;
  /** By the clock: what the whole way takes more than with the bare program; where it lies with 95 % confidence. */
  above: number;
  interval: [number, number];
}

interface Quad {
  above: number;
  bare: number;
  both: number;
}

/** The least that the whole way with the bare program has taken in this process. */
let leastBare = Number.POSITIVE_INFINITY;

/** The fastest tenth: what else the machine does, a neighbour on the same core too, doubles what a program takes. */
const fastest = <T>(all: readonly T[], cost: (one: T) => number): T[] =>
  [...all].sort((a, b) => cost(a) - cost(b)).slice(0, Math.ceil(all.length / 10));

function quadsOf(rig: Rig, seconds: number): Quad[] {
  const quads: Quad[] = [];
  for (const end = performance.now() + seconds * 1000; quads.length === 0 || performance.now() < end; ) {
    const turns = rig.sendTurns(QUADS);
    for (let i = 0; i < turns.length; i += 4) {
      const [own, bare] = [(turns[i]! + turns[i + 3]!) / 2, (turns[i + 1]! + turns[i + 2]!) / 2];
      quads.push({ above: own - bare, bare, both: own + bare });
    }
  }
  return quads;
}

/** Is what the quads say to be believed? A neighbour that takes caches disturbs a program long before the bare one. */
function isSteady(quads: readonly Quad[]): boolean {
  const above = quads.map((quad) => quad.above);
  const [low, high] = medianInterval(above);
  const isItself = median(quads.map(({ bare }) => bare)) <= leastBare * DISTURBED;
  return isItself && high - low <= Math.max(STEADY_NS, median(above) * STEADY_PART);
}

/**
 * Both programs have turns of 1,024 packets (`TURN_BITS` of the generator). By the clock without the kernel's statistics, and
 * once more with them. Of all quads the fastest tenth counts, by what both programs took together; while these do not agree,
 * or the machine is slower than for other rows, the row is measured on, and all its quads compete.
 */
export function compare(rig: Rig, program: number, load: Load, seconds: number): Costs {
  rig.load(load, { turns: true });
  // Every flow is new to the caches at first, and in an open slot to the table.
  rig.sendTurns(Math.ceil((2 * Math.max(20_000, load.flows)) / 4096) + 2);
  const all: Quad[] = [];
  let best: Quad[] = [];
  for (let tries = 0; tries < TRIES && (tries === 0 || !isSteady(best)); tries++) {
    all.push(...quadsOf(rig, seconds));
    best = fastest(all, ({ both }) => both);
    leastBare = Math.min(leastBare, median(best.map(({ bare }) => bare)));
  }
  const rounds = Array.from({ length: 8 }, () => rig.costs([program, rig.bare], QUADS * 4096));
  const [[own, bare]] = fastest(rounds, ([one, other]) => one! + other!) as [[number, number]];
  const above = best.map((quad) => quad.above);
  return { own, bare, above: median(above), interval: medianInterval(above) };
}
