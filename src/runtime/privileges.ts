import { SluiceError } from "../core/problem.ts";
import { ptr } from "./ffi.ts";
import { errno, errnoText, libc } from "./libc.ts";

/** The account that children run as: `nobody`. */
export const NOBODY = 65534;

/**
 * Becomes `nobody` for good: user, group and groups change in every thread (glibc broadcasts them), which also
 * empties the capability sets. Does nothing for a process that is not root. Throws SluiceError when the kernel
 * refuses: a program that parses strangers' bytes must not go on as root.
 */
export function dropPrivileges(): void {
  if (process.getuid?.() !== 0) return;
  const none = new Uint32Array(1);
  const refused =
    libc.setgroups(0, ptr(none)) !== 0
      ? "setgroups"
      : libc.setresgid(NOBODY, NOBODY, NOBODY) !== 0
        ? "setresgid"
        : libc.setresuid(NOBODY, NOBODY, NOBODY) !== 0
          ? "setresuid"
          : null;
  if (refused === null) return;
  throw new SluiceError({
    code: "SLUICE_PRIVILEGE",
    severity: "error",
    source: "kernel",
    path: [],
    message: `rights cannot be given up: ${refused}: ${errnoText(errno())}`,
  });
}
