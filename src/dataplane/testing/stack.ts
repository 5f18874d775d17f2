/** The deepest chain of calls of a BPF object, as the verifier of kernel 6.1 counts it. */
export interface Depth {
  /** Functions from the program down, with each one's own frame: `balance 192`. */
  chain: string[];
  /** Bytes; each frame is rounded up to 32, and an empty one counts as one. 512 are allowed. */
  bytes: number;
}

interface Section {
  name: string;
  type: number;
  at: number;
  size: number;
  link: number;
  info: number;
}

interface Called {
  frame: number;
  calls: string[];
}

const SYMTAB = 2;
const REL = 9;
const FUNCTION = 2;
const FRAME_POINTER = 10;
const CALL = 0x85;
const LOAD_ADDRESS = 0x18;
const MOVE = 0xbf;
const ADD = 0x07;

/** Every function of an ELF object for BPF (ELF64, little-endian): its frame, and whom it calls. */
class Reader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #sections: Section[];
  readonly functions = new Map<string, Called>();

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#sections = this.#readSections();
    const symbols = this.#symbols();
    for (const [index, section] of this.#sections.entries()) {
      const own = symbols.filter((one) => one.section === index && one.type === FUNCTION);
      if (own.length === 0) continue;
      const nameAt = (offset: number): string => own.find((one) => one.value === offset)?.name ?? `?${offset}`;
      const relocated = this.#relocations(index, symbols);
      for (const { name, value, size } of own)
        this.functions.set(
          name,
          this.#read(section.at, value, size, (offset, imm) => {
            const to = relocated.get(offset);
            const isCall = this.#bytes[section.at + offset] === CALL;
            // A load that nothing relocates is a number.
            if (!to) return isCall ? nameAt(offset + 8 * (imm + 1)) : null;
            const target = to.value + (isCall ? 8 * (imm + 1) : imm);
            const there = symbols.find((s) => s.section === to.section && s.value === target && s.type === FUNCTION);
            return there?.name ?? null;
          }),
        );
    }
  }

  #text(at: number): string {
    const end = this.#bytes.indexOf(0, at);
    return new TextDecoder().decode(this.#bytes.subarray(at, end));
  }

  #readSections(): Section[] {
    const table = Number(this.#view.getBigUint64(40, true));
    const count = this.#view.getUint16(60, true);
    const all = Array.from({ length: count }, (_, i) => {
      const at = table + 64 * i;
      return {
        name: "",
        nameAt: this.#view.getUint32(at, true),
        type: this.#view.getUint32(at + 4, true),
        at: Number(this.#view.getBigUint64(at + 24, true)),
        size: Number(this.#view.getBigUint64(at + 32, true)),
        link: this.#view.getUint32(at + 40, true),
        info: this.#view.getUint32(at + 44, true),
      };
    });
    const names = all[this.#view.getUint16(62, true)]!.at;
    return all.map((one) => ({ ...one, name: this.#text(names + one.nameAt) }));
  }

  #symbols() {
    const table = this.#sections.find(({ type }) => type === SYMTAB)!;
    const names = this.#sections[table.link]!.at;
    return Array.from({ length: table.size / 24 }, (_, i) => {
      const at = table.at + 24 * i;
      return {
        name: this.#text(names + this.#view.getUint32(at, true)),
        type: this.#bytes[at + 4]! & 15,
        section: this.#view.getUint16(at + 6, true),
        value: Number(this.#view.getBigUint64(at + 8, true)),
        size: Number(this.#view.getBigUint64(at + 16, true)),
      };
    });
  }

  #relocations<T>(section: number, symbols: readonly T[]): Map<number, T> {
    const found = new Map<number, T>();
    for (const { type, info, at, size } of this.#sections)
      if (type === REL && info === section)
        for (let entry = at; entry < at + size; entry += 16)
          found.set(Number(this.#view.getBigUint64(entry, true)), symbols[this.#view.getUint32(entry + 12, true)]!);
    return found;
  }

  /** `target`: whom an instruction at an offset of the section, with this operand, names; null: no function. */
  #read(section: number, from: number, size: number, target: (offset: number, imm: number) => string | null): Called {
    const calls = new Set<string>();
    let lowest = 0;
    /** Registers that hold the frame pointer and no offset yet. */
    const copies = new Set<number>();
    for (let offset = from; offset < from + size; offset += 8) {
      const at = section + offset;
      const code = this.#bytes[at]!;
      const to = this.#bytes[at + 1]! & 15;
      const of = this.#bytes[at + 1]! >> 4;
      const near = this.#view.getInt16(at + 2, true);
      const imm = this.#view.getInt32(at + 4, true);
      const kind = code & 7;
      if ((kind === 1 && of === FRAME_POINTER) || ((kind === 2 || kind === 3) && to === FRAME_POINTER))
        lowest = Math.min(lowest, near);
      else if (code === MOVE && of === FRAME_POINTER) copies.add(to);
      else if (code === ADD && copies.delete(to)) lowest = Math.min(lowest, imm);
      if ((code === CALL && of === 1) || code === LOAD_ADDRESS) {
        const name = target(offset, imm);
        if (name) calls.add(name);
      }
      if (code === LOAD_ADDRESS) offset += 8;
    }
    return { frame: -lowest, calls: [...calls] };
  }
}

/** The deepest of all chains of calls in a built object. */
export function deepestChain(object: Uint8Array): Depth {
  const { functions } = new Reader(object);
  const known = new Map<string, Depth>();
  const below = (name: string): Depth => {
    const before = known.get(name);
    if (before) return before;
    const { frame, calls } = functions.get(name)!;
    const deepest = calls.map(below).reduce((a, b) => (b.bytes > a.bytes ? b : a), { chain: [], bytes: 0 });
    const own = Math.ceil(Math.max(1, frame) / 32) * 32;
    const depth = { chain: [`${name} ${frame}`, ...deepest.chain], bytes: own + deepest.bytes };
    known.set(name, depth);
    return depth;
  };
  return [...functions.keys()].map(below).reduce((a, b) => (b.bytes > a.bytes ? b : a));
}
