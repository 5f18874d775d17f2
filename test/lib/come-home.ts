/**
 * Before each file of tests. A file whose set-up failed inside a network namespace never comes to its end there, and the
 * process goes on with the next file: that one begins where the tests were started.
 */
import { closeSync, existsSync, openSync, readlinkSync } from "node:fs";

const here = "/proc/thread-self/ns/net";
const there = `/proc/${process.ppid}/ns/net`;

if (existsSync(here) && existsSync(there) && readlinkSync(here) !== readlinkSync(there)) {
  const { libc } = await import("../../src/runtime/libc.ts");
  const fd = openSync(there, "r");
  /** <sched.h>: CLONE_NEWNET */
  const done = libc.setns(fd, 0x40000000);
  closeSync(fd);
  const now = done === 0 ? "it is brought back" : "it cannot be brought back";
  console.error(`tests: a file before this one has left the process in a network namespace: ${now}`);
}
