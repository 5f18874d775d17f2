import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import type { Capability } from "../core/method.ts";
import { nftTransaction } from "./nft.ts";

/** Can this process on this host do it, and why (not)? One clause for a person. */
export interface Ability {
  able: boolean;
  why: string;
}

/** Bit numbers of <linux/capability.h>. */
const capabilityBits = { CAP_NET_BIND_SERVICE: 10, CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21, CAP_BPF: 39 };
export type ProcessCapability = keyof typeof capabilityBits;

/** Does this process hold a capability (effective set)? */
export function holds(capability: ProcessCapability): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return line !== null && ((BigInt(`0x${line[1]}`) >> BigInt(capabilityBits[capability])) & 1n) === 1n;
}

/** `6.1.0-25-amd64` to [6, 1]. */
export function kernelVersion(text = release()): [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(text);
  return match ? [Number(match[1]), Number(match[2])] : [0, 0];
}

const held = (capability: ProcessCapability): Ability =>
  holds(capability)
    ? { able: true, why: "this process holds it" }
    : { able: false, why: `this process lacks ${capability}: run as root` };

/** The kernel that the data plane is written against; see the design's floors. */
const LEAST_KERNEL: [number, number] = [6, 1];

function xdp(): Ability {
  const [major, minor] = kernelVersion();
  if (major < LEAST_KERNEL[0] || (major === LEAST_KERNEL[0] && minor < LEAST_KERNEL[1]))
    return { able: false, why: `kernel ${release()} is older than ${LEAST_KERNEL.join(".")}` };
  for (const capability of ["CAP_BPF", "CAP_NET_ADMIN"] as const)
    if (!holds(capability) && !holds("CAP_SYS_ADMIN")) return held(capability);
  if (!existsSync("/sys/kernel/btf/vmlinux")) return { able: false, why: "the kernel has no BTF" };
  return { able: true, why: `kernel ${release()}` };
}

async function nftables(): Promise<Ability> {
  if (!holds("CAP_NET_ADMIN")) return held("CAP_NET_ADMIN");
  const rules = `table inet sluice-probe {
    chain c { type nat hook prerouting priority -100; jhash ip saddr mod 2 vmap { 0 : accept }; }
  }`;
  const asked = await nftTransaction(rules, true);
  return asked.ok ? { able: true, why: "nft takes NAT rules" } : { able: false, why: asked.problems[0]!.message };
}

/** Every capability that a method may need, judged for this process on this host. Changes nothing. */
export async function hostCapabilities(): Promise<Record<Capability, Ability>> {
  return {
    CAP_NET_ADMIN: held("CAP_NET_ADMIN"),
    CAP_BPF: held("CAP_BPF"),
    CAP_NET_BIND_SERVICE: held("CAP_NET_BIND_SERVICE"),
    xdp: xdp(),
    nftables: await nftables(),
  };
}
