import { existsSync, renameSync, unlinkSync } from "node:fs";
import { SluiceError } from "../core/problem.ts";
import { hostCommandSync } from "./host-command.ts";
import { pin } from "./libbpf.ts";

/** Preference of our filter: nobody's default, and all that tells it from others. */
const PREFERENCE = "6080";

/**
 * Runs a program on what comes in by a device, behind its XDP program; one that we had there is replaced. `path`: where it
 * is pinned for tc to find. Where it fails all is as it was. Throws SluiceError.
 */
export function addIngress(device: string, program: number, path: string): void {
  const fresh = `${path}_new`;
  if (existsSync(fresh)) unlinkSync(fresh);
  pin(program, fresh);
  // Fails when it is there already, which is as good.
  const added = hostCommandSync(["tc", "qdisc", "add", "dev", device, "clsact"]).ok;
  const filter = ["dev", device, "ingress", "pref", PREFERENCE, "handle", "1", "protocol", "all"];
  const done = hostCommandSync(["tc", "filter", "replace", ...filter, "bpf", "da", "object-pinned", fresh]);
  if (!done.ok) {
    if (added) hostCommandSync(["tc", "qdisc", "del", "dev", device, "clsact"]);
    unlinkSync(fresh);
    throw new SluiceError(done.problems[0]!);
  }
  renameSync(fresh, path);
}

/** Takes it away, and what it hung on when nothing else does. Does nothing where there is none. */
export function removeIngress(device: string): void {
  if (!hostCommandSync(["tc", "filter", "del", "dev", device, "ingress", "pref", PREFERENCE]).ok) return;
  const left = ["ingress", "egress"].map((side) => hostCommandSync(["tc", "filter", "show", "dev", device, side]));
  if (left.every((shown) => shown.ok && shown.value.trim() === ""))
    hostCommandSync(["tc", "qdisc", "del", "dev", device, "clsact"]);
}
