/** What a program costs for each packet, beside one that only sends back what comes. */
import { medianInterval } from "../lib.ts";
import type { Load, Rig } from "./packet-rig.ts";
import { median } from "./wrk.ts";

/** Of four turns each, A B B A, of one sending: 131,072 packets. */
const QUADS = 32;
/** How long a row may be measured on while the machine is not itself, and how often all such rows may be taken once more. */
const TRIES = 3;
const PASSES = 4;
/** The machine is itself: so much more than the least may the bare way take, of which a program is a tenth. */
const DISTURBED = 1.03;
/** And it stays itself: so wide may the interval be, in ns and as a part of what stands in its middle. */
const STEADY_NS = 3;
const STEADY_PART = 0.08;

/** By the clock, in ns for each packet. */
interface ByClock {
  /** What the whole way takes more than with the bare program; where it lies with 95 % confidence. */
  above: number;
  interval: [number, number];
  /** What the whole way takes with the bare program; packets of which `kind` are alike to make. */
  way: number;
  kind: string;
}

export interface Costs extends ByClock {
  /** ns of a run by the kernel's statistics, the program's and the bare one's. */
  own: number;
  bare: number;
}

interface Quad {
  above: number;
  bare: number;
  both: number;
}

/** The least that the whole way with the bare program has taken for a row of this process, by the kind of its packets. */
const leastWay = new Map<string, number>();
const kindOf = ({ source, services = 1 }: Load): string => `${source.includes(":") ? 6 : 4} ${services > 1}`;

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

/** Is it to be believed? A neighbour that takes caches disturbs a program long before the bare one. */
function isSteady({ above, interval: [low, high], way, kind }: ByClock): boolean {
  return way <= leastWay.get(kind)! * DISTURBED && high - low <= Math.max(STEADY_NS, above * STEADY_PART);
}

function byClock(all: readonly Quad[], kind: string): ByClock {
  const quads = fastest(all, ({ both }) => both);
  const above = quads.map((quad) => quad.above);
  const way = median(quads.map(({ bare }) => bare));
  leastWay.set(kind, Math.min(leastWay.get(kind) ?? way, way));
  return { above: median(above), interval: medianInterval(above), way, kind };
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
  const all = quadsOf(rig, seconds);
  let clock = byClock(all, kindOf(load));
  for (let tries = 1; tries < TRIES && !isSteady(clock); tries++) {
    all.push(...quadsOf(rig, seconds));
    clock = byClock(all, kindOf(load));
  }
  const rounds = Array.from({ length: 40 }, () => rig.costs([program, rig.bare], QUADS * 4096));
  const [[own, bare]] = fastest(rounds, ([one, other]) => one! + other!) as [[number, number]];
  return { own, bare, ...clock };
}

/**
 * Measures rows one after the other, and then those again for which the machine was not itself: it is slow for minutes, so
 * that what is measured on at once may be no better. The least disturbed result of a row counts.
 */
export async function inPasses(rows: ReadonlyMap<string, () => Promise<Costs>>): Promise<Map<string, Costs>> {
  const found = new Map<string, Costs>();
  for (let pass = 0; pass < PASSES; pass++)
    for (const [name, measure] of rows) {
      const before = found.get(name);
      if (before && isSteady(before)) continue;
      const costs = await measure();
      if (!before || 2 * costs.way + costs.above < 2 * before.way + before.above) found.set(name, costs);
    }
  return found;
}
