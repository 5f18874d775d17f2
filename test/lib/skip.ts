import { existsSync } from "node:fs";
import { runSync } from "../../src/runtime/child.ts";

/** Why labs cannot run on this host; null when they can. */
function labReason(): string | null {
  if (process.platform !== "linux") return "labs need Linux";
  if (process.getuid?.() !== 0) return "labs need root";
  for (const program of ["ip", "nsenter", "ethtool", "tcpdump"])
    if (runSync(["sh", "-c", `command -v ${program}`]).code !== 0) return `labs need ${program}`;
  const probe = runSync(["unshare", "--net", "true"]);
  return probe.code === 0 ? null : `no network namespaces: ${probe.stderr.trim()}`;
}

/** Why XDP labs cannot run on this host; null when they can. */
function xdpReason(): string | null {
  if (noLab) return noLab;
  if (runSync(["sh", "-c", "command -v clang"]).code !== 0) return "XDP needs clang";
  return existsSync("/sys/kernel/btf/vmlinux") ? null : "XDP needs a kernel with BTF";
}

/** Null, or the reason to skip with: `test.skipIf(noLab !== null)`. */
export const noLab = labReason();
export const noXdp = xdpReason();

if (noXdp) console.error(`skipped: ${noXdp}`);
