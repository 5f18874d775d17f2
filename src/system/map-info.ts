import { dlopen, ptr, FFIType as T } from "../runtime/ffi.ts";
import { Btf } from "./btf.ts";
import { bpfError } from "./libbpf.ts";
import { closeFd } from "./net.ts";

const library = () =>
  dlopen("libbpf.so.1", {
    bpf_obj_get_info_by_fd: { args: [T.i32, T.ptr, T.ptr], returns: T.i32 },
    bpf_btf_get_fd_by_id: { args: [T.u32], returns: T.i32 },
    bpf_map_lookup_batch: { args: [T.i32, T.ptr, T.ptr, T.ptr, T.ptr, T.ptr, T.ptr], returns: T.i32 },
    bpf_map_update_batch: { args: [T.i32, T.ptr, T.ptr, T.ptr, T.ptr], returns: T.i32 },
  }).symbols;
let loaded: ReturnType<typeof library> | undefined;
const bpf = () => {
  loaded ??= library();
  return loaded;
};

/** What the kernel says of an object behind a descriptor: the struct `bpf_…_info` of its kind. */
function infoOf(fd: number, info: Uint8Array<ArrayBuffer>): DataView {
  const length = new Uint32Array([info.length]);
  if (bpf().bpf_obj_get_info_by_fd(fd, ptr(info), ptr(length)) !== 0)
    throw bpfError("SLUICE_BPF_LOAD", "the kernel says nothing of a map or program");
  return new DataView(info.buffer);
}

export interface MapInfo {
  id: number;
  type: number;
  keySize: number;
  valueSize: number;
  entries: number;
  flags: number;
  /** Of its type information; 0: it has none. */
  btf: number;
}

/** Throws SluiceError. */
export function mapInfo(fd: number): MapInfo {
  // struct bpf_map_info: name at 24, btf_id at 64.
  const view = infoOf(fd, new Uint8Array(96));
  const [type, id, keySize, valueSize, entries, flags] = [0, 4, 8, 12, 16, 20].map((at) => view.getUint32(at, true));
  return {
    id: id!,
    type: type!,
    keySize: keySize!,
    valueSize: valueSize!,
    entries: entries!,
    flags: flags!,
    btf: view.getUint32(64, true),
  };
}

/** Type information by its id. Throws SluiceError. */
export function btfOf(id: number): Btf {
  const fd = bpf().bpf_btf_get_fd_by_id(id);
  if (fd < 0) throw bpfError("SLUICE_BPF_LOAD", `there is no type information ${id}`);
  // struct bpf_btf_info: where to put it, and its size.
  const size = infoOf(fd, new Uint8Array(32)).getUint32(8, true);
  const bytes = new Uint8Array(size);
  const info = new Uint8Array(32);
  new DataView(info.buffer).setBigUint64(0, BigInt(ptr(bytes)), true);
  new DataView(info.buffer).setUint32(8, size, true);
  infoOf(fd, info);
  closeFd(fd);
  return new Btf(bytes);
}

/** Ids of the maps that a program uses. Throws SluiceError. */
export function mapsOfProgram(program: number): Set<number> {
  const ids = new Uint32Array(64);
  // struct bpf_prog_info: nr_map_ids at 52, map_ids at 56.
  const info = new Uint8Array(232);
  new DataView(info.buffer).setUint32(52, ids.length, true);
  new DataView(info.buffer).setBigUint64(56, BigInt(ptr(ids)), true);
  const count = infoOf(program, info).getUint32(52, true);
  return new Set(ids.subarray(0, count));
}

/** All values of an array, one after another, of `size` bytes each; locks in them read as 0. Throws SluiceError. */
export function readArray(map: number, entries: number, size: number): Uint8Array<ArrayBuffer> {
  const values = new Uint8Array(entries * size);
  const [keys, last, count] = [new Uint32Array(entries), new Uint32Array(1), new Uint32Array([entries])];
  const done = bpf().bpf_map_lookup_batch(map, null, ptr(last), ptr(keys), ptr(values), ptr(count), null);
  // ENOENT: that was all of it.
  if ((done !== 0 && done !== -2) || count[0] !== entries)
    throw bpfError("SLUICE_BPF_LOAD", `a map cannot be read: ${done}`);
  return values;
}

/** Writes all values of an array. Throws SluiceError. */
export function writeArray(map: number, entries: number, values: Uint8Array): void {
  const keys = Uint32Array.from({ length: entries }, (_, i) => i);
  const count = new Uint32Array([entries]);
  const done = bpf().bpf_map_update_batch(map, ptr(keys), ptr(values), ptr(count), null);
  if (done !== 0 || count[0] !== entries) throw bpfError("SLUICE_BPF_LOAD", `a map cannot be written: ${done}`);
}
