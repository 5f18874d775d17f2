import { readlinkSync } from "node:fs";
import { SluiceError } from "../core/problem.ts";
import { dlopen, ptr, FFIType as T, toArrayBuffer } from "../runtime/ffi.ts";
import { cstring, errno, errnoText, libc } from "../runtime/libc.ts";

const more = dlopen("libc.so.6", {
  clock_gettime: { args: [T.i32, T.ptr], returns: T.i32 },
  usleep: { args: [T.u32], returns: T.i32 },
  syscall: { args: [T.i64, T.i64, T.i64, T.i64], returns: T.i64 },
}).symbols;

const failure = (call: string): SluiceError =>
  new SluiceError({
    code: "SLUICE_BPF_LOAD",
    severity: "error",
    source: "kernel",
    path: [],
    message: `${call}: ${errnoText(errno())}`,
  });

const CLOCK_MONOTONIC_COARSE = 6;
const time = new BigInt64Array(2);

/** ns of the clock that `bpf_ktime_get_coarse_ns` reads. */
export function coarseNanoseconds(): bigint {
  more.clock_gettime(CLOCK_MONOTONIC_COARSE, ptr(time));
  return time[0]! * 1_000_000_000n + time[1]!;
}

const MAP_SHARED = 1;
const PROT_READ_WRITE = 3;

/** Maps `bytes` of a descriptor, shared, for reading and writing. Lives as long as the process. Throws SluiceError. */
export function mapDescriptor(fd: number, bytes: number): ArrayBuffer {
  const length = Math.ceil(bytes / 4096) * 4096;
  const address = libc.mmap(null, length, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (address === null || Number(address) === -1) throw failure("mmap of a BPF map");
  return toArrayBuffer(address, 0, bytes);
}

/** Gives back what `mapDescriptor` has mapped: nobody may look at it any more. */
export function unmapDescriptor(memory: ArrayBuffer): void {
  libc.munmap(ptr(memory), Math.ceil(memory.byteLength / 4096) * 4096);
}

const MEMBARRIER = { x64: 324n, arm64: 283n } as Record<string, bigint>;
const MEMBARRIER_CMD_GLOBAL = 1n;

/** Where membarrier is refused: far longer than any run of an XDP program, which is never preempted. */
const INSTEAD_MICROSECONDS = 50_000;

/**
 * Waits until every program run that began before has ended: membarrier(2)'s global command is an RCU grace period,
 * and XDP runs inside RCU read sections. About 10 ms, on the loop. The kernel refuses it with nohz_full CPUs; then a
 * pause takes its place.
 */
export function kernelBarrier(): void {
  const number = MEMBARRIER[process.arch];
  if (number !== undefined && Number(more.syscall(number, MEMBARRIER_CMD_GLOBAL, 0n, 0n)) === 0) return;
  more.usleep(INSTEAD_MICROSECONDS);
}

/** 0 when there is no such device. */
export const ifindexOf = (device: string): number => libc.if_nametoindex(ptr(cstring(device)));

/** The device's name; null when there is none of this index. */
export function deviceName(index: number): string | null {
  const name = new Uint8Array(16);
  if (libc.if_indextoname(index, ptr(name)) === null) return null;
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

/** `02:00:00:00:00:01` to six bytes; null for anything else. */
export function parseMac(text: string): Uint8Array | null {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return null;
  return Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
}

export const macText = (mac: Uint8Array): string => [...mac].map((b) => b.toString(16).padStart(2, "0")).join(":");

/** Closes a descriptor that the C library or libbpf opened. */
export const closeFd = (fd: number): void => {
  libc.close(fd);
};

/** The network namespace that this thread is in, by its identity. */
export const netnsHere = (): string => readlinkSync("/proc/thread-self/ns/net");
