import { readFileSync } from "node:fs";
import { libc } from "./libc.ts";
import { closeFd } from "./listen.ts";

const SYS_pidfd_open = 434;
const SYS_pidfd_getfd = 438;

/**
 * Copies a descriptor out of another process (pidfd_getfd(2), kernel 5.6; needs CAP_SYS_PTRACE over it).
 * Returns our descriptor, or -1 when the process or the right is gone.
 */
export function takeDescriptor(pid: number, fd: number): number {
  const pidfd = Number(libc.syscall(SYS_pidfd_open, pid, 0, 0, 0));
  if (pidfd < 0) return -1;
  const taken = Number(libc.syscall(SYS_pidfd_getfd, pidfd, fd, 0, 0));
  closeFd(pidfd);
  return taken;
}

/** When a process started, in kernel ticks since boot: with the pid it names the process for good. Null when it is gone. */
export function startTime(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return null;
  }
}
