/** One number of a struct, or a row of them. */
export interface Leaf {
  /** `a.b` of a field within a field. */
  path: string;
  /** Bytes from the struct's beginning. */
  offset: number;
  /** Bytes of one. */
  size: number;
  count: number;
}

export interface Struct {
  size: number;
  /** By place. What is named `spare…`, and the kernel's locks, are left out. */
  leaves: readonly Leaf[];
}

interface Type {
  kind: number;
  name: string;
  /** Bytes, or the type that this one stands for. */
  size: number;
  members: readonly { name: string; type: number; bits: number }[];
  values: readonly [name: string, value: number][];
  element: number;
  count: number;
}

/** Kinds of `struct btf_type` (include/uapi/linux/btf.h). */
const Kind = { int: 1, ptr: 2, array: 3, struct: 4, union: 5, enum: 6, enum64: 19 } as const;
/** Typedef and qualifiers, which only stand for another type. */
const standIns = new Set([8, 9, 10, 11, 18]);
/** Bytes that follow a type's header, by its kind: of one member, or of the whole. */
const perMember: Readonly<Record<number, number>> = { 4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12 };
const whole: Readonly<Record<number, number>> = { 1: 4, 3: 12, 14: 4, 17: 4 };

/** Type information as the kernel and clang write it (Documentation/bpf/btf.rst), little-endian. */
export class Btf {
  readonly #types: readonly (Type | null)[];

  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const header = view.getUint32(4, true);
    const [typesAt, typesLength, textAt] = [8, 12, 16].map((at) => view.getUint32(at, true)) as [
      number,
      number,
      number,
    ];
    const text = (at: number): string => {
      const from = header + textAt + at;
      return new TextDecoder().decode(bytes.subarray(from, bytes.indexOf(0, from)));
    };
    // Type 0 is void.
    const types: (Type | null)[] = [null];
    const end = header + typesAt + typesLength;
    for (let at = header + typesAt; at < end; ) {
      const type = readType(view, at, text);
      types.push(type);
      const members = view.getUint32(at + 4, true) & 0xffff;
      at += 12 + (whole[type.kind] ?? 0) + members * (perMember[type.kind] ?? 0);
    }
    this.#types = types;
  }

  /** Null when there is none of that name. */
  struct(name: string): Struct | null {
    const type = this.#types.find((one) => one?.kind === Kind.struct && one.name === name);
    if (!type) return null;
    return { size: type.size, leaves: this.#members(type, "", 0).sort((a, b) => a.offset - b.offset) };
  }

  /** Every named number of the enums whose name begins so. */
  numbers(prefix: string): Map<string, number> {
    const enums = this.#types.filter((one) => one?.kind === Kind.enum && one.name.startsWith(prefix));
    return new Map(enums.flatMap((one) => [...one!.values]));
  }

  #members(type: Type, path: string, offset: number): Leaf[] {
    return type.members.flatMap(({ name, type: id, bits }) =>
      name.startsWith("spare") ? [] : this.#leaves(id, path === "" ? name : `${path}.${name}`, offset + bits / 8, 1),
    );
  }

  #leaves(id: number, path: string, offset: number, count: number): Leaf[] {
    const type = this.#types[id];
    if (!type) throw new Error(`type information without a type ${id}`);
    if (standIns.has(type.kind)) return this.#leaves(type.size, path, offset, count);
    if (type.name === "bpf_spin_lock") return [];
    if (type.kind === Kind.array) {
      const element = this.#leaves(type.element, path, offset, 1);
      if (element.length === 1 && element[0]!.count === 1) return [{ ...element[0]!, count: type.count * count }];
      const size = this.#size(type.element);
      return Array.from({ length: type.count }, (_, i) =>
        this.#leaves(type.element, `${path}[${i}]`, offset + i * size, 1),
      ).flat();
    }
    if (type.kind === Kind.struct || type.kind === Kind.union) return this.#members(type, path, offset);
    return [{ path, offset, size: this.#size(id), count }];
  }

  #size(id: number): number {
    const type = this.#types[id]!;
    if (standIns.has(type.kind)) return this.#size(type.size);
    if (type.kind === Kind.array) return type.count * this.#size(type.element);
    return type.kind === Kind.ptr ? 8 : type.size;
  }
}

function readType(view: DataView, at: number, text: (at: number) => string): Type {
  const word = (offset: number): number => view.getUint32(at + offset, true);
  const info = word(4);
  const kind = (info >>> 24) & 31;
  const length = info & 0xffff;
  const many = <T>(read: (offset: number) => T): T[] =>
    Array.from({ length }, (_, i) => read(12 + i * perMember[kind]!));
  const fields = kind === Kind.struct || kind === Kind.union;
  return {
    kind,
    name: text(word(0)),
    size: word(8),
    members: fields ? many((o) => ({ name: text(word(o)), type: word(o + 4), bits: word(o + 8) & 0xffffff })) : [],
    values: kind === Kind.enum ? many((o) => [text(word(o)), view.getInt32(at + o + 4, true)]) : [],
    element: kind === Kind.array ? word(12) : 0,
    count: kind === Kind.array ? word(20) : 0,
  };
}
