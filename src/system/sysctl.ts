import { readFileSync, writeFileSync } from "node:fs";
import { sysctlName } from "../core/host-change.ts";
import { ok, type Result, refuse } from "../core/problem.ts";
import { hostProblem } from "./host-command.ts";

/**
 * Path of a key. `net.ipv4.ip_forward` or, where a device's name holds a dot, `net/ipv4/conf/eth0.1/rp_filter`.
 * The calls below are synchronous on purpose: /proc/sys/net shows the namespace of the thread that opens it.
 */
export const sysctlPath = (key: string): string =>
  `/proc/sys/${key.includes("/") ? key : key.replaceAll(".", "/")}`.replace(/\/\.\.(?=\/|$)/g, "");

/** The value without its newline; null where the key is not there. */
export function readSysctl(key: string): string | null {
  try {
    return readFileSync(sysctlPath(key), "utf8").trim();
  } catch {
    return null;
  }
}

/** Writes a value. Errors: SLUICE_PRIVILEGE, SLUICE_HOST_COMMAND. */
export function writeSysctl(key: string, value: string): Result<null> {
  try {
    writeFileSync(sysctlPath(key), `${value}\n`, { flag: "w" });
    return ok(null);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const rights = code === "EACCES" || code === "EPERM" || code === "EROFS";
    return refuse(
      hostProblem(
        rights ? "SLUICE_PRIVILEGE" : "SLUICE_HOST_COMMAND",
        `sysctl ${sysctlName(key)} = ${value}: ${code}`,
        rights ? "Run as root, with /proc/sys writable." : undefined,
      ),
    );
  }
}

/** Does `current` already satisfy what is asked? `max` only ever raises. */
export function sysctlSatisfied(current: string | null, wanted: string, rule: "set" | "max" = "set"): boolean {
  if (current === null) return false;
  return rule === "max" ? Number(current) >= Number(wanted) : current === wanted;
}

/** What the kernel uses where it takes the larger of `conf.all` and the device's own (arp_ignore, rp_filter, …). */
export function effectiveConf(device: string, name: string): number {
  const value = (where: string): number => Number(readSysctl(`net/ipv4/conf/${where}/${name}`) ?? 0);
  return Math.max(value("all"), value(device));
}
