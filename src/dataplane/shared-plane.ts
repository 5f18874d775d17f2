import type { Doors } from "../core/method.ts";
import type { CheckPath } from "./check-path.ts";
import { Plane } from "./plane.ts";
import type { ForwardName } from "./plane-service.ts";
import { type Listener, Upkeep } from "./upkeep.ts";

/** What the methods that forward have in common. */
export interface Shared {
  plane: Plane;
  upkeep: Upkeep;
  /** Devices that each method needs attached. */
  needs: Map<ForwardName, Set<string>>;
  appliers: Set<Listener>;
  /** Methods that are prepared and have not committed: while there are some, programs of another version go on. */
  prepared: Set<ForwardName>;
  check?: CheckPath;
}

/** One plane per instance and process: the methods that forward share it. */
const shared = new Map<string, Shared>();

/** The plane of an instance, made when it is first asked for. Throws SluiceError (SLUICE_BPF_LOAD). */
export function share(doors: Doors): Shared {
  let found = shared.get(doors.bpfDir);
  if (found) return found;
  const plane = new Plane(doors.bpfDir);
  plane.schedulers = doors.schedulers;
  const { refused } = plane.kernel;
  if (refused !== null)
    doors.log("warn", `the former version forwards until all is in force, and its flow cells are lost: ${refused}`, {
      code: "SLUICE_LAYOUT",
    });
  const needs = new Map<ForwardName, Set<string>>();
  const appliers = new Set<Listener>();
  const upkeep = new Upkeep(
    plane,
    () => new Set(needs.keys()),
    appliers,
    (level, message) => doors.log(level, message),
  );
  found = { plane, upkeep, needs, appliers, prepared: new Set() };
  shared.set(doors.bpfDir, found);
  return found;
}

/** The plane of an instance if there is one. */
export const sharedAt = (bpfDir: string): Shared | undefined => shared.get(bpfDir);

/** Takes away all that is pinned. */
export async function destroy(bpfDir: string): Promise<void> {
  const found = shared.get(bpfDir);
  if (found === undefined) return;
  await found.upkeep.stop();
  await found.upkeep.letGo(true);
  await found.check?.close();
  found.plane.guard.close();
  found.plane.kernel.destroy();
  shared.delete(bpfDir);
}

/**
 * Leaves what is pinned to whoever comes next. Where no service is in it, and no program of a former version forwards
 * meanwhile, there is nothing to leave, and it goes.
 */
export async function leave(bpfDir: string): Promise<void> {
  const found = shared.get(bpfDir);
  if (found === undefined) return;
  const { services, kernel } = found.plane;
  if (services.size === 0 && !kernel.succeeds) return destroy(bpfDir);
  await found.upkeep.stop();
  shared.delete(bpfDir);
}
