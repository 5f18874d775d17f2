import { ptr } from "./ffi.ts";
import { libc } from "./libc.ts";

const RLIMIT_NOFILE = 7;

/** Raises the soft limit of open files to the hard one, for this process and the children it starts from then on. */
export function raiseOpenFiles(): void {
  const limit = new BigUint64Array(2); // struct rlimit: soft, hard
  if (libc.getrlimit(RLIMIT_NOFILE, ptr(limit)) !== 0 || limit[0] === limit[1]) return;
  limit[0] = limit[1]!;
  // Refused: the soft limit stays, and the connection limit is derived from it.
  libc.setrlimit(RLIMIT_NOFILE, ptr(limit));
}
