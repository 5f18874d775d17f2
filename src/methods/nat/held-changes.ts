import type { HostChange } from "../../core/host-change.ts";
import type { Doors } from "../../core/method.ts";

/** A set of host changes that follows what is wanted: new ones first, those no longer wanted afterwards. */
export interface HeldChanges {
  /** Applies what is new in `next` beside what is held; `settle` then drops the rest, `shrink` goes back. */
  widen(next: readonly HostChange[]): Promise<void>;
  settle(): Promise<void>;
  shrink(): Promise<void>;
  /** Exactly these, at once. */
  hold(next: readonly HostChange[]): Promise<void>;
}

const key = (change: HostChange): string => JSON.stringify(change);
const without = (from: readonly HostChange[], what: readonly HostChange[]): HostChange[] => {
  const keys = new Set(what.map(key));
  return from.filter((change) => !keys.has(key(change)));
};

/** Through the doors, and so through the journal. */
export function heldChanges(doors: Pick<Doors, "change" | "undo">): HeldChanges {
  let held: readonly HostChange[] = [];
  let wanted: readonly HostChange[] | null = null;
  const held$: HeldChanges = {
    async widen(next) {
      wanted = next;
      await doors.change(without(next, held));
    },
    async settle() {
      if (wanted === null) return;
      const stale = without(held, wanted);
      held = wanted;
      wanted = null;
      await doors.undo(stale);
    },
    async shrink() {
      if (wanted === null) return;
      const fresh = without(wanted, held);
      wanted = null;
      await doors.undo(fresh);
    },
    async hold(next) {
      await held$.widen(next);
      await held$.settle();
    },
  };
  return held$;
}
