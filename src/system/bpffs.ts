import { mkdirSync, readFileSync } from "node:fs";
import { ok, type Result, refuse } from "../core/problem.ts";
import { ptr } from "../runtime/ffi.ts";
import { cstring, errno, errnoText, libc } from "../runtime/libc.ts";
import { hostProblem } from "./host-command.ts";

const BPF_FS = "/sys/fs/bpf";

/** Is a BPF file system mounted there, in this mount namespace? */
export function isBpfFs(path = BPF_FS): boolean {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return mounts.some((line) => {
    const [, where, type] = line.split(" ");
    return where === path && type === "bpf";
  });
}

/**
 * Sees to it that `path` is a BPF file system: mounts one where there is none. Errors: SLUICE_PRIVILEGE.
 * It stays mounted: what is pinned there must outlive us, and other programs may use it by then.
 */
export function ensureBpfFs(path = BPF_FS): Result<{ mounted: boolean }> {
  if (isBpfFs(path)) return ok({ mounted: false });
  try {
    mkdirSync(path, { recursive: true });
  } catch {
    // sysfs lets nobody make directories; the mount below says what is wrong.
  }
  const options = cstring("mode=0700");
  const done = libc.mount(ptr(cstring("bpf")), ptr(cstring(path)), ptr(cstring("bpf")), 0n, ptr(options));
  if (done === 0) return ok({ mounted: true });
  const why = errnoText(errno());
  return refuse(hostProblem("SLUICE_PRIVILEGE", `no BPF file system at ${path}, and none can be mounted: ${why}`));
}
