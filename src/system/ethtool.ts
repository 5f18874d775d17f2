import { ok, type Result } from "../core/problem.ts";
import { hostCommand } from "./host-command.ts";

export type Offload = "tx" | "gro" | "gso" | "tso";

/** How `ethtool -k` calls what `ethtool -K` takes by a short name. */
const longNames: Record<Offload, string> = {
  tx: "tx-checksumming",
  gro: "generic-receive-offload",
  gso: "generic-segmentation-offload",
  tso: "tcp-segmentation-offload",
};

/** Which offloads of a device are on. Errors: SLUICE_HOST_COMMAND. */
export async function offloads(device: string): Promise<Result<Record<Offload, boolean>>> {
  const told = await hostCommand(["ethtool", "-k", device]);
  if (!told.ok) return told;
  const isOn = (name: Offload): boolean => new RegExp(`^${longNames[name]}: on\\b`, "m").test(told.value);
  return ok({ tx: isOn("tx"), gro: isOn("gro"), gso: isOn("gso"), tso: isOn("tso") });
}

/** Switches one offload. Errors: SLUICE_HOST_COMMAND. */
export const setOffload = (device: string, feature: Offload, on: boolean): Promise<Result<string>> =>
  hostCommand(["ethtool", "-K", device, feature, on ? "on" : "off"]);
