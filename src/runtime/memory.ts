import { SluiceError } from "../core/problem.ts";
import { ptr, toArrayBuffer } from "./ffi.ts";
import { cstring, errno, errnoText, libc } from "./libc.ts";

const MFD_CLOEXEC = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

/** Memory that processes share: a memfd, mapped. Whoever inherits the descriptor maps the same cells. */
export interface SharedMemory {
  readonly fd: number;
  readonly cells: Float64Array;
}

const failed = (call: string): SluiceError =>
  new SluiceError({
    code: "SLUICE_INTERNAL",
    severity: "error",
    source: "kernel",
    path: [],
    message: `shared memory: ${call}: ${errnoText(errno())}`,
  });

/** Makes zeroed shared memory of `count` Float64 cells. Throws SluiceError when the kernel refuses. */
export function createSharedMemory(name: string, count: number): SharedMemory {
  const fd = libc.memfd_create(ptr(cstring(name)), MFD_CLOEXEC);
  if (fd < 0) throw failed("memfd_create");
  if (libc.ftruncate(fd, count * 8) !== 0) throw failed("ftruncate");
  return mapSharedMemory(fd, count);
}

/** Maps inherited shared memory. The mapping lives as long as the process. */
export function mapSharedMemory(fd: number, count: number): SharedMemory {
  const address = libc.mmap(null, count * 8, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (address === null || Number(address) === -1) throw failed("mmap");
  return { fd, cells: new Float64Array(toArrayBuffer(address, 0, count * 8)) };
}
