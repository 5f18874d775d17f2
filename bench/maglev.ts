/** Evenness and disruption of consistent hashes: Maglev against a ring and rendezvous hashing. */
import { hashText, mix32 } from "../src/core/hash.ts";
import { fillMaglev } from "../src/schedulers/maglev-table.ts";
import { defineBench, type Row, row } from "./lib.ts";

const BACKENDS = 1000;
const TABLES = [65_537, 655_373];
const FAILED_PERCENT = [1, 2, 3, 4, 5];
/** As libketama. */
const RING_POINTS = 160;
const SEED = 1;

/** Who owns each slot, by index into all names, when only `alive` are there. */
type Assign = (table: Uint16Array, names: readonly string[], alive: readonly number[]) => void;

const maglev: Assign = (table, names, alive) => {
  fillMaglev(
    table,
    alive.map((i) => names[i]!),
    alive.map(() => 1),
    SEED,
  );
  for (let slot = 0; slot < table.length; slot++) table[slot] = alive[table[slot]!]!;
};

const ring: Assign = (table, names, alive) => {
  // A point is hash * 1024 + owner: sorting numbers sorts the ring, and 42 bits are exact in a double.
  const points = new Float64Array(alive.length * RING_POINTS);
  alive.forEach((owner, i) => {
    for (let p = 0; p < RING_POINTS; p++)
      points[i * RING_POINTS + p] = hashText(`${names[owner]}#${p}`, SEED) * 1024 + owner;
  });
  points.sort();
  for (let slot = 0; slot < table.length; slot++) {
    const point = mix32(slot) * 1024;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (points[middle]! < point) low = middle + 1;
      else high = middle;
    }
    table[slot] = points[low === points.length ? 0 : low]! % 1024;
  }
};

/** The index into `hashes` with the highest score for a slot. */
function highest(hashes: Uint32Array, slot: number): number {
  const key = mix32(slot + 1);
  let best = -1;
  let owner = 0;
  for (let i = 0; i < hashes.length; i++) {
    const score = mix32(hashes[i]! ^ key);
    if (score > best) {
      best = score;
      owner = i;
    }
  }
  return owner;
}

const rendezvous: Assign = (table, names, alive) => {
  const hashes = Uint32Array.from(alive, (i) => hashText(names[i]!, SEED));
  for (let slot = 0; slot < table.length; slot++) table[slot] = alive[highest(hashes, slot)]!;
};

function spread(table: Uint16Array): { most: number; least: number } {
  const counts = new Uint32Array(BACKENDS);
  for (const owner of table) counts[owner]!++;
  const mean = table.length / BACKENDS;
  return { most: Math.max(...counts) / mean, least: Math.min(...counts) / mean };
}

function moved(before: Uint16Array, after: Uint16Array): number {
  let count = 0;
  for (let slot = 0; slot < before.length; slot++) if (before[slot] !== after[slot]) count++;
  return count / before.length;
}

interface Measured {
  most: number;
  least: number;
  /** Share of all slots that change their owner, per entry of FAILED_PERCENT. */
  moved: number[];
}

function measure(assign: Assign, slots: number, names: readonly string[]): Measured {
  const everyone = names.map((_, i) => i);
  const whole = new Uint16Array(slots);
  assign(whole, names, everyone);
  // Who fails is drawn, and stays failed as the share grows.
  const failing = [...everyone].sort((a, b) => mix32(a + 77) - mix32(b + 77));
  return {
    ...spread(whole),
    moved: FAILED_PERCENT.map((percent) => {
      const failed = new Set(failing.slice(0, (BACKENDS * percent) / 100));
      const after = new Uint16Array(slots);
      const alive = everyone.filter((i) => !failed.has(i));
      if (assign === rendezvous) reassignLost(whole, after, names, alive, failed);
      else assign(after, names, alive);
      return moved(whole, after);
    }),
  };
}

/** A slot whose owner lives keeps it by definition; computing only the others keeps the bench short. */
function reassignLost(
  whole: Uint16Array,
  after: Uint16Array,
  names: readonly string[],
  alive: readonly number[],
  failed: ReadonlySet<number>,
): void {
  const hashes = Uint32Array.from(alive, (i) => hashText(names[i]!, SEED));
  whole.forEach((owner, slot) => {
    after[slot] = failed.has(owner) ? alive[highest(hashes, slot)]! : owner;
  });
}

function buildTime(backends: number, slots: number): number {
  const names = Array.from({ length: backends }, (_, i) => `10.1.${i >> 8}.${i & 255}:80`);
  const weights = names.map(() => 1);
  const table = new Uint16Array(slots);
  const times = Array.from({ length: 30 }, () => {
    const start = performance.now();
    fillMaglev(table, names, weights, SEED);
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[15]!;
}

export default defineBench({
  summary: "Evenness and disruption of Maglev, ring hash and rendezvous at 1,000 backends.",
  async run(progress) {
    const names = Array.from({ length: BACKENDS }, (_, i) => `10.0.${i >> 8}.${i & 255}:80`);
    const rows: Row[] = [];
    for (const slots of TABLES) {
      progress(`${BACKENDS} backends, ${slots} slots`);
      const ours = measure(maglev, slots, names);
      const peers = { ring: measure(ring, slots, names), rendezvous: measure(rendezvous, slots, names) };
      const each = (get: (m: Measured) => number) => ({ ring: get(peers.ring), rendezvous: get(peers.rendezvous) });
      const name = (what: string) => `${slots}-slots/maglev/${what}`;
      rows.push(
        row(
          name("max-mean"),
          "x mean",
          "lower",
          ours.most,
          each((m) => m.most),
        ),
      );
      rows.push(
        row(
          name("min-mean"),
          "x mean",
          "higher",
          ours.least,
          each((m) => m.least),
        ),
      );
      FAILED_PERCENT.forEach((percent, i) => {
        const unit = `% of slots`;
        const get = (m: Measured) => m.moved[i]! * 100;
        rows.push(row(name(`moved-at-${percent}%-failed`), unit, "lower", get(ours), each(get)));
      });
    }
    for (const [backends, slots] of [
      [100, 16_381],
      [1000, 65_537],
      [1000, 655_373],
    ] as const)
      rows.push(row(`${backends}-backends-${slots}-slots/maglev/build-ms`, "ms", "lower", buildTime(backends, slots)));
    return { rows };
  },
});
