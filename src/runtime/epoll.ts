import { readdirSync, readFileSync } from "node:fs";

/** The epoll descriptor of this process, Bun's, that watches `fd`; -1: there is none to be found. */
export function epollOf(fd: number): number {
  const watched = new RegExp(`^tfd:\\s+${fd}\\s`, "m");
  const watches = (name: string): boolean => {
    try {
      return watched.test(readFileSync(`/proc/self/fdinfo/${name}`, "latin1"));
    } catch {
      return false; // closed meanwhile
    }
  };
  try {
    return Number(readdirSync("/proc/self/fdinfo").find(watches) ?? -1);
  } catch {
    return -1; // no /proc
  }
}
