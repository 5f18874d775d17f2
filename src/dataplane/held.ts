import { deviceOf, type HostChange, onDevice } from "../core/host-change.ts";
import type { Doors } from "../core/method.ts";
import { ifindexOf } from "../system/net.ts";

const key = (change: HostChange): string => JSON.stringify(change);

/** What its device, if it has one, is there for. */
const possible = (change: HostChange): boolean => {
  const device = deviceOf(change);
  return device === null || ifindexOf(device) > 0;
};

/** Host changes that follow what is wanted: the new ones first, those no longer wanted after the commit. */
export class Held {
  readonly #doors: Pick<Doors, "change" | "undo">;
  #held: HostChange[];
  #next: HostChange[] | null = null;

  /** `held`: what an earlier daemon has made. */
  constructor(doors: Pick<Doors, "change" | "undo">, held: readonly HostChange[] = []) {
    this.#doors = doors;
    this.#held = [...held];
  }

  /** What is held now. */
  get changes(): readonly HostChange[] {
    return this.#held;
  }

  /** Makes what is wanted; asking again for what stands changes nothing. Throws SluiceError, and then nothing is new. */
  async widen(next: readonly HostChange[]): Promise<void> {
    this.#next = [...next];
    try {
      await this.#doors.change(next);
    } catch (error) {
      await this.shrink();
      throw error;
    }
  }

  /** After the commit: undoes what is not wanted any more. */
  async settle(): Promise<void> {
    if (!this.#next) return;
    const keep = new Set(this.#next.map(key));
    const stale = this.#held.filter((change) => !keep.has(key(change)));
    this.#held = this.#next;
    this.#next = null;
    if (stale.length > 0) await this.#doors.undo(stale);
  }

  /** Instead of the commit: undoes what was new. */
  async shrink(): Promise<void> {
    if (!this.#next) return;
    const keep = new Set(this.#held.map(key));
    const fresh = this.#next.filter((change) => !keep.has(key(change)));
    this.#next = null;
    if (fresh.length > 0) await this.#doors.undo(fresh);
  }

  /** Makes what has come to be wanted besides, without a revision; what a device is missing for waits for `renew`. */
  async also(more: readonly HostChange[]): Promise<void> {
    const known = new Set(this.#held.map(key));
    this.#held.push(...more.filter((change) => !known.has(key(change))));
    await this.#doors.change(more.filter(possible));
  }

  /**
   * Makes what is held anew where it has gone: a device that comes back has lost its addresses and neighbours. One that is
   * away still keeps no other from its own.
   */
  async renew(): Promise<void> {
    await this.#doors.change(this.#held.filter(possible));
  }

  /** Devices have other names now, by their former ones: what stands on them goes on under these. */
  rename(names: ReadonlyMap<string, string>): void {
    this.#held = this.#held.map((change) => {
      const name = names.get(deviceOf(change) ?? "");
      return name === undefined ? change : onDevice(change, name);
    });
  }

  async hold(next: readonly HostChange[]): Promise<void> {
    await this.widen(next);
    await this.settle();
  }
}
