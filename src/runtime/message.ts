import { ptr } from "./ffi.ts";
import type { libc } from "./libc.ts";

/** `struct iovec` of the one part, and `struct msghdr` that names it: no name, for sockets that know whom they speak to. */
const part = new BigUint64Array(2);
const header = new BigUint64Array(7);
const NOTHING = new Uint8Array(0);
/**
 * What the call is told of by number alone. Nothing else may refer to it by then, so that it would be collected before the
 * kernel reads it.
 */
const held: Uint8Array[] = [];

/** What came of a call. */
export interface Transferred {
  /** Bytes that went or came; -1: errno says why not. */
  done: number;
  /** Bytes of control data. */
  around: number;
}

/** sendmsg(2) or recvmsg(2) of these bytes, with control data around them. */
export function transfer(
  call: typeof libc.sendmsg,
  fd: number,
  bytes: Uint8Array,
  flags: number,
  control = NOTHING,
): Transferred {
  held.push(bytes, control);
  part[0] = BigInt(ptr(bytes));
  part[1] = BigInt(bytes.length);
  header.fill(0n);
  header[2] = BigInt(ptr(part));
  header[3] = 1n;
  if (control.length > 0) header[4] = BigInt(ptr(control));
  header[5] = BigInt(control.length);
  const done = Number(call(fd, ptr(header), flags));
  held.length = 0;
  return { done, around: Number(header[5]) };
}
