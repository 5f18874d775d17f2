/** How often something was asked for; `over`: by how much that may be too many. */
export interface Counted {
  name: string;
  count: number;
  over: number;
}

/**
 * The most wanted of any number of names in bounded room (Space-Saving: Metwally, Agrawal, El Abbadi, ICDT 2005): a new
 * name takes the place of the least wanted one and inherits its count, so a name with more than 1/room of all requests is
 * always among them. Counting costs one look-up; taking a place costs a look at all, up to one that was asked for once.
 */
export class MostWanted {
  private readonly room: number;
  private readonly names = new Map<string, Counted>();

  /** `room`: names that are held; 0: none, and nothing is counted. */
  constructor(room: number) {
    this.room = room;
  }

  add(name: string, count = 1, over = 0): void {
    if (this.room === 0) return;
    const there = this.names.get(name);
    if (there !== undefined) {
      there.count += count;
      there.over += over;
      return;
    }
    if (this.names.size < this.room) {
      this.names.set(name, { name, count, over });
      return;
    }
    const least = this.least();
    this.names.delete(least.name);
    this.names.set(name, { name, count: least.count + count, over: least.count + over });
  }

  private least(): Counted {
    let least: Counted | null = null;
    for (const one of this.names.values()) {
      if (least === null || one.count < least.count) least = one;
      if (least.count <= 1) break;
    }
    return least!;
  }

  get size(): number {
    return this.names.size;
  }

  /** The most wanted first. */
  top(most: number): Counted[] {
    return [...this.names.values()].sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1)).slice(0, most);
  }

  /** All that was counted, and forgets it. */
  take(): Counted[] {
    const all = [...this.names.values()];
    this.names.clear();
    return all;
  }
}
