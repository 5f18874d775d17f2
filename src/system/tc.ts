import { existsSync, unlinkSync } from "node:fs";
import { SluiceError } from "../core/problem.ts";
import { hostCommandSync } from "./host-command.ts";
import { pin } from "./libbpf.ts";

/** Preference of our filter: nobody's default, and all that tells it from others. */
const PREFERENCE = "6080";

/**
 * Runs a program on what comes in by a device, behind its XDP program; one that we had there is replaced. `path`: where it
 * is pinned for tc to find. Throws SluiceError.
 */
export function addIngress(device: string, program: number, path: string): void {
  if (existsSync(path)) unlinkSync(path);
  pin(program, path);
  // Fails when it is there already, which is as good.
  hostCommandSync(["tc", "qdisc", "add", "dev", device, "clsact"]);
  const filter = ["dev", device, "ingress", "pref", PREFERENCE, "handle", "1", "protocol", "all"];
  const done = hostCommandSync(["tc", "filter", "replace", ...filter, "bpf", "da", "object-pinned", path]);
  if (!done.ok) throw new SluiceError(done.problems[0]!);
}

/** Takes it away, and what it hung on when nothing else does. Does nothing where there is none. */
export function removeIngress(device: string): void {
  if (!hostCommandSync(["tc", "filter", "del", "dev", device, "ingress", "pref", PREFERENCE]).ok) return;
  const left = ["ingress", "egress"].map((side) => hostCommandSync(["tc", "filter", "show", "dev", device, side]));
  if (left.every((shown) => shown.ok && shown.value.trim() === ""))
    hostCommandSync(["tc", "qdisc", "del", "dev", device, "clsact"]);
}
