import type { HostChange } from "../../core/host-change.ts";
import type { Doors } from "../../core/method.ts";
import type { EngineName } from "./engines.ts";

const key = (change: HostChange): string => JSON.stringify(change);

/**
 * The doors of each engine. For the journal both are the method nat: what one engine gives up while the other still
 * needs it (a VIP, forwarding) must stay.
 */
export function shareDoors(doors: Doors): (engine: EngineName) => Doors {
  const holders = new Map<string, Set<EngineName>>();
  const hold = (change: HostChange, engine: EngineName): void => {
    const engines = holders.get(key(change)) ?? new Set();
    holders.set(key(change), engines.add(engine));
  };
  /** True when nobody needs it any more. */
  const drop = (change: HostChange, engine: EngineName): boolean => {
    const engines = holders.get(key(change));
    engines?.delete(engine);
    if (engines && engines.size > 0) return false;
    holders.delete(key(change));
    return true;
  };
  return (engine) => ({
    ...doors,
    async change(changes) {
      for (const change of changes) hold(change, engine);
      await doors.change(changes);
    },
    async undo(changes) {
      await doors.undo(changes.filter((change) => drop(change, engine)));
    },
  });
}
