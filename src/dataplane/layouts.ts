import type { Btf, Leaf } from "../system/btf.ts";
import { repackSlots, type WholeWords } from "./slot-words.ts";

/** One run of bytes that stands elsewhere in another layout; `grows`: bytes of one number before and after, in `count` of them. */
export interface Move {
  from: number;
  to: number;
  bytes: number;
  grows?: { before: number; after: number; count: number };
}

/** How elements of one layout become those of another: field by field by name, and slots that were whole words in their parts. */
export interface Conversion {
  moves: readonly Move[];
  slots: WholeWords | null;
}

type Types = Pick<Btf, "struct" | "numbers">;

/** Counts and marks by which nothing is decided: they may begin at 0, and may be left behind. */
const passing = new Set([
  "service.no_room",
  "table.generation",
  "turns.cursor",
  "load.begun",
  "control.tracing",
  "control.heartbeat",
  "control.heartbeat_ns",
]);

/** Or why there is none. */
export function conversionOf(former: Types, own: Types, name: string): Conversion | { refused: string } {
  const [before, after] = [former.struct(name), own.struct(name)];
  if (!before || !after) return { refused: `struct ${name} is not in both` };
  const slots = name === "table" ? wholeWords(former) : null;
  const known = new Map(before.leaves.map((leaf) => [leaf.path, leaf]));
  const moves: Move[] = [];
  if (slots) known.delete("slots");
  for (const leaf of after.leaves) {
    if (slots && (leaf.path === "brief" || leaf.path === "wide")) continue;
    const old = known.get(leaf.path);
    known.delete(leaf.path);
    const label = `${name}.${leaf.path}`;
    if (!old) {
      if (!passing.has(label)) return { refused: `the former ${name} has no ${leaf.path}` };
    } else {
      const move = moveOf(old, leaf);
      if (move === null) return { refused: `${label} held more than it does now` };
      moves.push(move);
    }
  }
  const left = [...known.keys()].find((path) => !passing.has(`${name}.${path}`));
  if (left !== undefined) return { refused: `nothing holds the former ${name}'s ${left}` };
  return { moves: merged(moves), slots };
}

/** Null: slots have two parts there, too. */
function wholeWords(former: Types): WholeWords | null {
  const slots = former.struct("table")!.leaves.find(({ path, size }) => path === "slots" && size === 4);
  const numbers = former.numbers("sluice_slot");
  const [bits, none, shift] = ["SLOT_BITS", "SLOT_NONE", "PHASE_SHIFT"].map((number) => numbers.get(number)!) as [
    number,
    number,
    number,
  ];
  return slots ? { at: slots.offset, count: slots.count, bits, none, shift } : null;
}

function moveOf(old: Leaf, now: Leaf): Move | null {
  const { offset: from } = old;
  const { offset: to } = now;
  if (old.size === now.size && now.count >= old.count) return { from, to, bytes: old.size * old.count };
  // A pair of words that has become one, or the other way round.
  if (old.size * old.count === now.size * now.count) return { from, to, bytes: old.size * old.count };
  if (now.size < old.size || now.count < old.count) return null;
  return { from, to, bytes: 0, grows: { before: old.size, after: now.size, count: old.count } };
}

/** Neighbours in both layouts move together. */
function merged(moves: readonly Move[]): Move[] {
  const all: Move[] = [];
  for (const move of moves) {
    const last = all.at(-1);
    const joins =
      last && !last.grows && !move.grows && last.from + last.bytes === move.from && last.to + last.bytes === move.to;
    if (joins) last.bytes += move.bytes;
    else all.push({ ...move });
  }
  return all;
}

/** Elements of `before` bytes each as elements of `after` bytes; what nothing is moved to is 0. */
export function convert(
  values: Uint8Array,
  before: number,
  after: number,
  { moves, slots }: Conversion,
): Uint8Array<ArrayBuffer> {
  const count = values.length / before;
  const out = new Uint8Array(count * after);
  for (let i = 0; i < count; i++) {
    if (slots) {
      const element = new DataView(values.buffer, values.byteOffset + i * before, before);
      repackSlots(element, slots, out.subarray(i * after, (i + 1) * after));
    }
    for (const { from, to, bytes, grows } of moves) {
      const [source, target] = [i * before + from, i * after + to];
      if (grows)
        for (let k = 0; k < grows.count; k++)
          for (let b = 0; b < grows.before; b++)
            out[target + k * grows.after + b] = values[source + k * grows.before + b]!;
      else for (let b = 0; b < bytes; b++) out[target + b] = values[source + b]!;
    }
  }
  return out;
}

/** Enums whose numbers stand in maps: they must mean the same. */
const meanings = [
  "sluice_forward",
  "sluice_slot",
  "sluice_state",
  "sluice_used",
  "sluice_service_flag",
  "sluice_choice",
  "sluice_life",
  "sluice_control_flag",
  "sluice_arrival",
  "sluice_cell",
  "sluice_fragment",
  "sluice_drop",
];
/** Sizes by which keys are hashed, or numbers laid out: of all others an element more or less does no harm. */
const sizes = new Set([
  "FLOW_BUCKETS",
  "FLOW_WAYS",
  "ARRIVALS",
  "ARRIVAL_PROBES",
  "CHUNK_SERVICES",
  "TICK_SHIFT",
  "ORDER",
  "ORDER_BITS",
  "REGION_COPY_BITS",
]);

/** How whole words of slots were parted, before slots had two parts: they are repacked. */
const ofWholeWords = new Set(["SLOT_BITS", "SLOT_MASK", "SLOT_NONE", "PHASE_SHIFT"]);

/** A number that means something else in the other version; null: there is none. */
export function otherMeaning(former: Pick<Btf, "numbers">, own: Pick<Btf, "numbers">): string | null {
  const numbersOf = (btf: Pick<Btf, "numbers">): Map<string, number> =>
    new Map([
      ...meanings.flatMap((name) => [...btf.numbers(name)]),
      ...[...btf.numbers("sluice_limit")].filter(([name]) => sizes.has(name)),
    ]);
  const before = numbersOf(former);
  for (const [name, value] of numbersOf(own)) {
    const old = before.get(name);
    if (!before.has("SLOT_WIDE") && ofWholeWords.has(name)) continue;
    if (old !== undefined && old !== value) return `${name} was ${old}`;
  }
  return null;
}
