import { existsSync } from "node:fs";
import { SluiceError } from "../core/problem.ts";
import { CString, dlopen, JSCallback, type Pointer, ptr, FFIType as T, toArrayBuffer } from "../runtime/ffi.ts";
import { cstring, errno, errnoText } from "../runtime/libc.ts";

const { i32, u32, u64 } = T;

const library = () =>
  dlopen("libbpf.so.1", {
    libbpf_set_print: { args: [T.ptr], returns: T.ptr },
    bpf_object__open_file: { args: [T.ptr, T.ptr], returns: T.ptr },
    bpf_object__load: { args: [T.ptr], returns: i32 },
    bpf_object__close: { args: [T.ptr], returns: T.void },
    bpf_object__find_map_by_name: { args: [T.ptr, T.ptr], returns: T.ptr },
    bpf_object__find_program_by_name: { args: [T.ptr, T.ptr], returns: T.ptr },
    bpf_map__fd: { args: [T.ptr], returns: i32 },
    bpf_map__set_max_entries: { args: [T.ptr, u32], returns: i32 },
    bpf_map__set_pin_path: { args: [T.ptr, T.ptr], returns: i32 },
    bpf_program__set_autoload: { args: [T.ptr, T.bool], returns: i32 },
    bpf_program__fd: { args: [T.ptr], returns: i32 },
    bpf_map_update_batch: { args: [i32, T.ptr, T.ptr, T.ptr, T.ptr], returns: i32 },
    bpf_map_create: { args: [u32, T.ptr, u32, u32, u32, T.ptr], returns: i32 },
    bpf_map_update_elem: { args: [i32, T.ptr, T.ptr, u64], returns: i32 },
    bpf_map_lookup_batch: { args: [i32, T.ptr, T.ptr, T.ptr, T.ptr, T.ptr, T.ptr], returns: i32 },
    bpf_map_lookup_elem: { args: [i32, T.ptr, T.ptr], returns: i32 },
    bpf_map_delete_elem: { args: [i32, T.ptr], returns: i32 },
    bpf_map_get_next_key: { args: [i32, T.ptr, T.ptr], returns: i32 },
    bpf_obj_pin: { args: [i32, T.ptr], returns: i32 },
    bpf_obj_get: { args: [T.ptr], returns: i32 },
    bpf_obj_get_info_by_fd: { args: [i32, T.ptr, T.ptr], returns: i32 },
    bpf_link_create: { args: [i32, i32, i32, T.ptr], returns: i32 },
    bpf_link_detach: { args: [i32], returns: i32 },
    bpf_link_update: { args: [i32, i32, T.ptr], returns: i32 },
    bpf_prog_test_run_opts: { args: [i32, T.ptr], returns: i32 },
    bpf_prog_get_fd_by_id: { args: [u32], returns: i32 },
    ring_buffer__new: { args: [i32, T.ptr, T.ptr, T.ptr], returns: T.ptr },
    ring_buffer__consume: { args: [T.ptr], returns: i32 },
    ring_buffer__free: { args: [T.ptr], returns: T.void },
    bpf_enable_stats: { args: [i32], returns: i32 },
    libbpf_num_possible_cpus: { args: [], returns: i32 },
  }).symbols;

/** Bytes of one message that are kept. */
const LAST_WORDS = 8192;

let loaded: ReturnType<typeof library> | undefined;
const lines: string[] = [];

/** libbpf's functions; the library is opened when first needed, so hosts without it run the other methods. */
export function bpf(): ReturnType<typeof library> {
  if (loaded) return loaded;
  try {
    loaded = library();
  } catch (error) {
    throw bpfError("SLUICE_BPF_LOAD", `libbpf cannot be opened: ${(error as Error).message}`);
  }
  const { symbols } = dlopen("libc.so.6", {
    vasprintf: { args: [T.ptr, T.ptr, T.ptr], returns: i32 },
    free: { args: [T.ptr], returns: T.void },
  });
  const place = new BigUint64Array(1);
  // libbpf explains itself only by printing. Kept for the process: a callback that is freed would be called once more.
  const print = new JSCallback(
    (level: number, format: Pointer, args: Pointer) => {
      if (level > 1) return 0; // debug talk
      // As long as it is: a verifier's log has its last words at the end of megabytes.
      const length = symbols.vasprintf(ptr(place), format, args);
      if (length < 0) return 0;
      const text = Number(place[0]) as Pointer;
      const from = Math.max(0, length - LAST_WORDS);
      lines.push(String(new CString(text, from, length - from)).trimEnd());
      symbols.free(text);
      return 0;
    },
    { args: [i32, T.ptr, T.ptr], returns: i32 },
  );
  loaded.libbpf_set_print(print.ptr);
  return loaded;
}

type BpfCode = "SLUICE_BPF_LOAD" | "SLUICE_BPF_ATTACH" | "SLUICE_BPF_MEMORY";

export function bpfError(code: BpfCode, message: string): SluiceError {
  return new SluiceError({ code, severity: "error", source: "kernel", path: [], message });
}

/** The last lines that libbpf printed, and forgets them: the end of a verifier log says what it minds. */
const said = (): string => {
  const all = lines.splice(0).join("\n").split("\n");
  const worth = all.filter((line) => !/^\s*$|^-- /.test(line)).slice(-6);
  return worth.length > 0 ? `: ${worth.join("; ")}` : "";
};

/** ENOMEM and E2BIG: no room for a map. */
const noMemory = new Set([12, 7]);

/** Throws SluiceError unless `result` >= 0; libbpf 1.x returns negative errno. */
export function check(result: number, what: string): number {
  if (result >= 0) return result;
  throw bpfError(
    noMemory.has(-result) ? "SLUICE_BPF_MEMORY" : "SLUICE_BPF_LOAD",
    `${what}: ${errnoText(-result)}${said()}`,
  );
}

/** An opened object: maps may still be changed until `load`. */
export class BpfObject {
  readonly #handle: Pointer;
  /** Where maps are pinned, by name. */
  readonly #pins = new Map<string, string>();

  /** Opens an object file. Throws SluiceError (SLUICE_BPF_LOAD). */
  constructor(path: string) {
    const handle = bpf().bpf_object__open_file(ptr(cstring(path)), null) as Pointer | null;
    if (!handle) throw bpfError("SLUICE_BPF_LOAD", `${path}: ${errnoText(errno())}${said()}`);
    this.#handle = handle;
  }

  /** A variable's map has the name of its section. */
  #map(name: string): Pointer {
    const find = (one: string) => bpf().bpf_object__find_map_by_name(this.#handle, ptr(cstring(one))) as Pointer | null;
    const map = find(name) ?? find(`.data.${name}`);
    if (!map) throw bpfError("SLUICE_BPF_LOAD", `the object has no map ${name}`);
    return map;
  }

  /** Before `load`. */
  setMaxEntries(name: string, entries: number): void {
    check(bpf().bpf_map__set_max_entries(this.#map(name), entries), `map ${name}`);
  }

  /** Before `load`: the map pinned there is taken over when it has the same shape; else ours is pinned there. */
  setPinPath(name: string, path: string): void {
    check(bpf().bpf_map__set_pin_path(this.#map(name), ptr(cstring(path))), `map ${name}`);
    this.#pins.set(name, path);
  }

  /** After `load`: pins maps anew whose pins somebody has removed; their folders are there. Throws SluiceError. */
  restorePins(): void {
    for (const [name, path] of this.#pins) if (!existsSync(path)) pin(this.mapFd(name), path);
  }

  /** Before `load`: leaves a program out, which spares its verification. */
  skip(program: string): void {
    const found = bpf().bpf_object__find_program_by_name(this.#handle, ptr(cstring(program)));
    if (found) check(bpf().bpf_program__set_autoload(found, false), `program ${program}`);
  }

  /** Throws SluiceError with the verifier's last words. */
  load(): void {
    lines.length = 0;
    check(bpf().bpf_object__load(this.#handle), "the kernel refused the program");
  }

  mapFd(name: string): number {
    return check(bpf().bpf_map__fd(this.#map(name)), `map ${name}`);
  }

  programFd(name: string): number {
    const program = bpf().bpf_object__find_program_by_name(this.#handle, ptr(cstring(name)));
    if (!program) throw bpfError("SLUICE_BPF_LOAD", `the object has no program ${name}`);
    return check(bpf().bpf_program__fd(program), `program ${name}`);
  }

  /** Closes all its descriptors; what is pinned or attached lives on. */
  close(): void {
    bpf().bpf_object__close(this.#handle);
  }
}

/** Throws SluiceError. `value` has the map's value size; for a map of programs it is a descriptor. */
export function updateElement(map: number, key: Uint8Array, value: Uint8Array): void {
  check(bpf().bpf_map_update_elem(map, ptr(key), ptr(value), 0n), "map update");
}

/** Fills `value`; false when there is no such key. */
export function lookupElement(map: number, key: Uint8Array, value: Uint8Array): boolean {
  return bpf().bpf_map_lookup_elem(map, ptr(key), ptr(value)) === 0;
}

/**
 * Fills `values` with those of `count` indices of an array from `first` on, by one call of the kernel, which is a fraction of
 * what as many calls cost. False when it does not.
 */
export function lookupElements(map: number, first: number, count: number, values: Uint8Array): boolean {
  // It goes on behind an index that it is given; each index is told too.
  const before = Uint32Array.of(first - 1);
  const last = new Uint32Array(1);
  const indices = new Uint32Array(count);
  const done = Uint32Array.of(count);
  const from = first === 0 ? null : ptr(before);
  const asked = bpf().bpf_map_lookup_batch(map, from, ptr(last), ptr(indices), ptr(values), ptr(done), null);
  return asked === 0 && done[0] === count && indices[0] === first;
}

export function deleteElement(map: number, key: Uint8Array): boolean {
  return bpf().bpf_map_delete_elem(map, ptr(key)) === 0;
}

/** BPF_MAP_TYPE_LPM_TRIE and BPF_F_NO_PREALLOC, without which the kernel makes none. */
const LPM_TRIE = 11;
const NO_PREALLOC = 1;

function createMap(type: number, name: string, key: number, value: number, entries: number, flags: number): number {
  // struct bpf_map_create_opts: its size, four words of BTF, inner map, flags.
  const options = new Uint8Array(56);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(options.length), true);
  view.setUint32(28, flags, true);
  return check(bpf().bpf_map_create(type, ptr(cstring(name)), key, value, entries, ptr(options)), `map ${name}`);
}

/** A new trie of prefixes; its descriptor. Throws SluiceError. */
export const createTrie = (name: string, keySize: number, valueSize: number, entries: number): number =>
  createMap(LPM_TRIE, name, keySize, valueSize, entries, NO_PREALLOC);

const LRU_HASH = 9;

/** A new hash map that forgets what was used longest ago; its descriptor. Throws SluiceError. */
export const createLru = (name: string, keySize: number, valueSize: number, entries: number): number =>
  createMap(LRU_HASH, name, keySize, valueSize, entries, 0);

const ARRAY = 2;
const MMAPABLE = 1 << 10;

/** A new array that can be mapped; its descriptor. Throws SluiceError. */
export const createArray = (name: string, valueSize: number, entries: number): number =>
  createMap(ARRAY, name, 4, valueSize, entries, MMAPABLE);

/** Writes many elements by one call; false when not all of them could be written. */
export function updateBatch(map: number, keys: Uint8Array, values: Uint8Array, count: number): boolean {
  const done = new Uint32Array([count]);
  return bpf().bpf_map_update_batch(map, ptr(keys), ptr(values), ptr(done), null) === 0 && done[0] === count;
}

/**
 * Keys of a hash map, `most` at most: that of its entries. Where packets put others in their place meanwhile the kernel
 * begins anew behind a key that has gone, for as long as they do.
 */
export function keysOf(map: number, keySize: number, most: number): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (let last: Uint8Array | null = null; keys.length < most; ) {
    const next: Uint8Array = new Uint8Array(keySize);
    if (bpf().bpf_map_get_next_key(map, last && ptr(last), ptr(next)) !== 0) break;
    keys.push(next);
    last = next;
  }
  return keys;
}

export function pin(fd: number, path: string): void {
  check(bpf().bpf_obj_pin(fd, ptr(cstring(path))), `pin ${path}`);
}

/** A descriptor of what is pinned there; null when there is nothing. */
export function openPinned(path: string): number | null {
  const fd = bpf().bpf_obj_get(ptr(cstring(path)));
  return fd >= 0 ? fd : null;
}

/** The reading end of a ring buffer map: one reader at a time. */
export class RingBuffer {
  readonly #handle: Pointer;
  readonly #callback: JSCallback;
  readonly #heard: (bytes: Uint8Array) => void;
  #now: (bytes: Uint8Array) => void;

  /** `heard` gets each record during `consume`, as memory that is the ring's own: copy what is kept. Throws SluiceError. */
  constructor(map: number, heard: (bytes: Uint8Array) => void) {
    this.#heard = heard;
    this.#now = heard;
    this.#callback = new JSCallback(
      (_context: Pointer | null, data: Pointer, size: number | bigint) => {
        this.#now(new Uint8Array(toArrayBuffer(data, 0, Number(size))));
        return 0;
      },
      { args: [T.ptr, T.ptr, u64], returns: i32 },
    );
    const handle = bpf().ring_buffer__new(map, this.#callback.ptr, null, null) as Pointer | null;
    if (!handle) throw bpfError("SLUICE_BPF_LOAD", `ring buffer: ${errnoText(errno())}${said()}`);
    this.#handle = handle;
  }

  /** Hands on every record that is there, to `instead` when it is given. */
  consume(instead: (bytes: Uint8Array) => void = this.#heard): void {
    this.#now = instead;
    check(bpf().ring_buffer__consume(this.#handle), "ring buffer");
    this.#now = this.#heard;
  }

  close(): void {
    bpf().ring_buffer__free(this.#handle);
    this.#callback.close();
  }
}

const BPF_XDP = 37;
export type XdpMode = "native" | "generic";
const modeFlags: Record<XdpMode, number> = { native: 4, generic: 2 };

/** Attaches a program to an interface by a link. The errno as a negative number on failure. */
export function linkXdp(program: number, ifindex: number, mode: XdpMode): number {
  const options = new Uint8Array(64);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, 64n, true);
  view.setUint32(8, modeFlags[mode], true);
  return bpf().bpf_link_create(program, ifindex, BPF_XDP, ptr(options));
}

/** Puts another program in a link's place, in one step. */
export const updateLink = (link: number, program: number): void => {
  check(bpf().bpf_link_update(link, program, null), "link update");
};

/** Takes the program off its interface at once; without it the kernel does so some time after the last reference. */
export function detachLink(link: number): void {
  bpf().bpf_link_detach(link);
}

/** The interface a link is attached to; 0 when its interface has gone. */
export function linkIfindex(link: number): number {
  // struct bpf_link_info: type, id, prog_id, (hole), then the xdp part: ifindex.
  const info = new Uint8Array(128);
  const length = new Uint32Array([info.length]);
  if (bpf().bpf_obj_get_info_by_fd(link, ptr(info), ptr(length)) !== 0) return 0;
  return new DataView(info.buffer).getUint32(16, true);
}

/** Makes the kernel time every run of every program until the descriptor that is returned is closed. */
export const enableStats = (): number => check(bpf().bpf_enable_stats(0), "BPF statistics");

/** A descriptor of the program that has this id. Throws SluiceError. */
export const programById = (id: number): number => check(bpf().bpf_prog_get_fd_by_id(id), `program ${id}`);

/** What the statistics say of a program, with all it has called by tail calls: runs, and the ns they took. */
export function programStats(program: number): { nanoseconds: number; runs: number } {
  // struct bpf_prog_info: run_time_ns at 192, run_cnt at 200.
  const info = new Uint8Array(256);
  const length = new Uint32Array([info.length]);
  check(bpf().bpf_obj_get_info_by_fd(program, ptr(info), ptr(length)), "program info");
  const view = new DataView(info.buffer);
  return { nanoseconds: Number(view.getBigUint64(192, true)), runs: Number(view.getBigUint64(200, true)) };
}

/** How many values a per-CPU look-up fills, each rounded up to 8 bytes. */
export const possibleCpus = (): number => check(bpf().libbpf_num_possible_cpus(), "possible CPUs");
