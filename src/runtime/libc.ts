import { dlopen, ptr, read, FFIType as T } from "./ffi.ts";

const { i32, u32, u64, i64 } = T;

/** The few functions of the C library that Bun does not offer. Every call blocks the loop: none here waits. */
export const libc = dlopen("libc.so.6", {
  socket: { args: [i32, i32, i32], returns: i32 },
  socketpair: { args: [i32, i32, i32, T.ptr], returns: i32 },
  setsockopt: { args: [i32, i32, i32, T.ptr, u32], returns: i32 },
  getsockopt: { args: [i32, i32, i32, T.ptr, T.ptr], returns: i32 },
  getsockname: { args: [i32, T.ptr, T.ptr], returns: i32 },
  bind: { args: [i32, T.ptr, u32], returns: i32 },
  listen: { args: [i32, i32], returns: i32 },
  accept4: { args: [i32, T.ptr, T.ptr, i32], returns: i32 },
  // Never more than 2 GiB at a time: a plain number is enough.
  recv: { args: [i32, T.ptr, u32, i32], returns: i32 },
  send: { args: [i32, T.ptr, u32, i32], returns: i32 },
  // `struct mmsghdr` by the row, `struct pollfd` by the row.
  recvmmsg: { args: [i32, T.ptr, u32, i32, T.ptr], returns: i32 },
  sendmmsg: { args: [i32, T.ptr, u32, i32], returns: i32 },
  poll: { args: [T.ptr, u64, i32], returns: i32 },
  connect: { args: [i32, T.ptr, u32], returns: i32 },
  sendmsg: { args: [i32, T.ptr, i32], returns: i64 },
  sendto: { args: [i32, T.ptr, u64, i32, T.ptr, u32], returns: i64 },
  recvmsg: { args: [i32, T.ptr, i32], returns: i64 },
  read: { args: [i32, T.ptr, u32], returns: i32 },
  pipe2: { args: [T.ptr, i32], returns: i32 },
  splice: { args: [i32, T.ptr, i32, T.ptr, u32, u32], returns: i32 },
  close: { args: [i32], returns: i32 },
  fcntl: { args: [i32, i32, i32], returns: i32 },
  ioctl: { args: [i32, u64, T.ptr], returns: i32 },
  open: { args: [T.cstring, i32, i32], returns: i32 },
  memfd_create: { args: [T.cstring, u32], returns: i32 },
  ftruncate: { args: [i32, i64], returns: i32 },
  mmap: { args: [T.ptr, u64, i32, i32, i32, i64], returns: T.ptr },
  munmap: { args: [T.ptr, u64], returns: i32 },
  getrlimit: { args: [i32, T.ptr], returns: i32 },
  setrlimit: { args: [i32, T.ptr], returns: i32 },
  flock: { args: [i32, i32], returns: i32 },
  syscall: { args: [i64, i64, i64, i64, i64], returns: i64 },
  setgroups: { args: [u64, T.ptr], returns: i32 },
  setresgid: { args: [u32, u32, u32], returns: i32 },
  setresuid: { args: [u32, u32, u32], returns: i32 },
  setns: { args: [i32, i32], returns: i32 },
  mount: { args: [T.cstring, T.cstring, T.cstring, u64, T.ptr], returns: i32 },
  if_nametoindex: { args: [T.cstring], returns: u32 },
  if_indextoname: { args: [u32, T.ptr], returns: T.ptr },
  strerror: { args: [i32], returns: T.cstring },
  __errno_location: { args: [], returns: T.ptr },
}).symbols;

/** errno of the last call: read it before any other. */
export const errno = (): number => read.i32(libc.__errno_location()!, 0);

/** A NUL-terminated copy for a `char *` argument. */
export const cstring = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);

/** The text of an errno, as the C library words it. */
export const errnoText = (number: number): string => String(libc.strerror(number));

const optionValue = new Int32Array(1);

export function setIntOption(fd: number, level: number, option: number, value: number): number {
  optionValue[0] = value;
  return libc.setsockopt(fd, level, option, ptr(optionValue), 4);
}
