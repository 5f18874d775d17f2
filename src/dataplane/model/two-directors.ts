/**
 * Two directors that serve one VIP, and a router that may send a flow's next packet to the other one: every history of up
 * to so many changes, searched breadth first, so that what is found first is the shortest. One flow, one slot at a time:
 * slots share nothing. All backends live; what changes is who may get new work, and each director hears of it late.
 */

/** What a packet carries besides its first target, for a real server that has no socket for it. */
export type Chance =
  /** Nothing. */
  | "none"
  /** What was current or base of the slot, while it is unsettled at that director. */
  | "history"
  /** The slot's own order of all backends, settled or not: the same at every director, whatever it has heard. */
  | "preference";

/** The most backends that a packet names. */
const NAMED = 3;
const BACKENDS = [0, 1, 2];
/** Order in which each slot prefers the backends: its first eligible one is its current. */
export const SLOTS: readonly (readonly number[])[] = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
];

interface Director {
  /** How many of the changes it has heard of. */
  heard: number;
  current: number;
  base: number;
  settled: boolean;
  /** Current or base since it was last settled, newest first. */
  past: readonly number[];
  /** The flow's cell; null: none. */
  cell: number | null;
}

interface World {
  /** Eligible backends after each change, as bits; the first is the beginning. */
  changes: readonly number[];
  directors: readonly [Director, Director];
  /** The backend that has the flow's socket; null: not begun. */
  flow: number | null;
  /** Director of the last packet. */
  last: number;
  story: readonly string[];
}

const current = (slot: readonly number[], eligible: number): number => slot.find((b) => (eligible >> b) & 1)!;

/** A director hears of the next change: a slot opens, keeps its base while open, or stays as it is. */
function hear(d: Director, slot: readonly number[], eligible: number): Director {
  const next = current(slot, eligible);
  const heard = d.heard + 1;
  if (next === d.current) return { ...d, heard };
  const base = d.settled || d.current === d.base ? d.current : d.base;
  const past = [next, ...d.past.filter((b) => b !== next)];
  return { ...d, heard, base, current: next, settled: false, past };
}

/** The idle time passes without the flow at this director: its cell dies, the slot settles. */
const settle = (d: Director): Director => ({ ...d, base: d.current, settled: true, cell: null, past: [d.current] });

/** Where a director sends a packet of an established flow, and what it writes down. */
function send(d: Director): { target: number; after: Director } {
  if (d.cell !== null) return { target: d.cell, after: d };
  if (d.settled || d.current === d.base) return { target: d.current, after: d };
  return { target: d.base, after: { ...d, cell: d.base } };
}

/** Does the packet find its socket? */
function arrives(chance: Chance, slot: readonly number[], d: Director, target: number, flow: number): boolean {
  if (target === flow) return true;
  if (chance === "none" || (chance === "history" && d.settled)) return false;
  const others = (chance === "history" ? d.past : slot).filter((b) => b !== target);
  return [target, ...others].slice(0, NAMED).includes(flow);
}

const names = ["A", "B"];
const replaced = (w: World, i: number, d: Director): readonly [Director, Director] =>
  i === 0 ? [d, w.directors[1]] : [w.directors[0], d];

export interface Question {
  chance: Chance;
  /** The most changes of a history. */
  changes: number;
  /** Directors hear of a change at different times; else both at once. */
  late: boolean;
}

/** All worlds one step on; `broken` those in which a packet found no socket. */
function steps(w: World, slot: readonly number[], question: Question): { next: World[]; broken: World[] } {
  const next: World[] = [];
  const broken: World[] = [];
  const tell = (line: string, more: Partial<World>): World => ({ ...w, ...more, story: [...w.story, line] });
  const eligible = w.changes.at(-1)!;
  for (const b of w.changes.length <= question.changes ? BACKENDS : []) {
    const after = eligible ^ (1 << b);
    if (after === 0) continue;
    const [one, other] = w.directors;
    const both = [hear(one, slot, after), hear(other, slot, after)] as const;
    const directors = question.late ? w.directors : both;
    const line = `backend ${b} ${(after >> b) & 1 ? "comes" : "goes"}`;
    next.push(tell(line, { changes: [...w.changes, after], directors }));
  }
  w.directors.forEach((d, i) => {
    if (d.heard < w.changes.length - 1)
      next.push(tell(`${names[i]} hears of it`, { directors: replaced(w, i, hear(d, slot, w.changes[d.heard + 1]!)) }));
    // A flow that was here last has spoken here within the idle time, or it is promised nothing: its cell lives.
    if (!d.settled && (w.last !== i || w.flow === d.current))
      next.push(tell(`${names[i]} settles`, { directors: replaced(w, i, settle(d)) }));
    if (w.flow === null) {
      const cell = d.settled ? null : d.current;
      const directors = replaced(w, i, { ...d, cell });
      next.push(
        tell(`the flow begins at ${names[i]}, on backend ${d.current}`, { flow: d.current, last: i, directors }),
      );
      return;
    }
    const { target, after } = send(d);
    const done = tell(`a packet by ${names[i]} goes to backend ${target}`, {
      last: i,
      directors: replaced(w, i, after),
    });
    (arrives(question.chance, slot, d, target, w.flow) ? next : broken).push(done);
  });
  return { next, broken };
}

/** All of a world but its story as one number, below 2^48: each part is below what the next is multiplied by. */
function faceOf({ changes, directors, flow, last }: World): number {
  let face = changes.reduce((sum, eligible) => 8 * sum + eligible, 0);
  for (const { heard, current, base, settled, past, cell } of directors) {
    const tale = past.reduce((sum, backend) => 4 * sum + backend + 1, 0);
    face = ((face * 5 + heard) * 3 + current) * 3 + base;
    face = ((face * 2 + Number(settled)) * 4 + (cell ?? 3)) * 64 + tale;
  }
  return (face * 4 + (flow ?? 3)) * 3 + last + 1;
}

export interface Found {
  /** Different worlds that were looked at, over all slots. */
  worlds: number;
  /** The shortest history in which a packet of a living backend's flow found no socket; null: there is none. */
  counterExample: readonly string[] | null;
}

/** Looks at every history that the question allows. */
export function search(question: Question): Found {
  let worlds = 0;
  let shortest: readonly string[] | null = null;
  for (const slot of SLOTS) {
    const first = current(slot, 0b111);
    const d: Director = { heard: 0, current: first, base: first, settled: true, past: [first], cell: null };
    let edge: World[] = [{ changes: [0b111], directors: [d, d], flow: null, last: -1, story: [] }];
    const seen = new Set(edge.map(faceOf));
    while (edge.length > 0 && (shortest === null || edge[0]!.story.length + 1 < shortest.length)) {
      const further: World[] = [];
      for (const world of edge) {
        const { next, broken } = steps(world, slot, question);
        if (broken[0] && (shortest === null || broken[0].story.length < shortest.length)) shortest = broken[0].story;
        for (const one of next) {
          const face = faceOf(one);
          if (seen.has(face)) continue;
          seen.add(face);
          further.push(one);
        }
      }
      edge = further;
    }
    worlds += seen.size;
  }
  return { worlds, counterExample: shortest };
}

if (import.meta.main)
  for (const late of [false, true])
    for (const chance of ["none", "history", "preference"] as const) {
      const { worlds, counterExample } = search({ chance, changes: 4, late });
      console.log(`second chance: ${chance}; changes are heard ${late ? "late" : "at once"}; ${worlds} worlds`);
      for (const line of counterExample ?? ["no connection is broken"]) console.log(`  ${line}`);
    }
