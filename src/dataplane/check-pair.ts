import { hashText } from "../core/hash.ts";

/**
 * Names of the veth pair that probes of a VIP take: at most 15 bytes, the same for an instance at every start, so that
 * a stale pair is found. `bpfDir` is the instance's `/sys/fs/bpf/sluice/NAME`.
 */
export function checkPair(bpfDir: string): { outer: string; inner: string } {
  const id = hashText(bpfDir, 0).toString(16).padStart(8, "0");
  return { outer: `slc${id}`, inner: `sli${id}` };
}
