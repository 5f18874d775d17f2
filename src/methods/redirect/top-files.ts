/** How often a file was asked for; `over`: by how much that may be too many. */
export interface Counted {
  path: string;
  count: number;
  over: number;
}

/**
 * The most wanted of any number of files in bounded room (Space-Saving: Metwally, Agrawal, El Abbadi, ICDT 2005): a new
 * name takes the place of the least wanted one and inherits its count, so a file with more than 1/room of all requests is
 * always among them. Counting costs one look-up; taking a place costs a look at all, up to one that was asked for once.
 */
export class TopFiles {
  private readonly room: number;
  private readonly files = new Map<string, Counted>();

  constructor(room: number) {
    this.room = room;
  }

  add(path: string, count = 1, over = 0): void {
    if (this.room === 0) return;
    const there = this.files.get(path);
    if (there !== undefined) {
      there.count += count;
      there.over += over;
      return;
    }
    if (this.files.size < this.room) {
      this.files.set(path, { path, count, over });
      return;
    }
    const least = this.least();
    this.files.delete(least.path);
    this.files.set(path, { path, count: least.count + count, over: least.count + over });
  }

  private least(): Counted {
    let least: Counted | null = null;
    for (const one of this.files.values()) {
      if (least === null || one.count < least.count) least = one;
      if (least.count <= 1) break;
    }
    return least!;
  }

  get size(): number {
    return this.files.size;
  }

  /** The most wanted first. */
  top(most: number): Counted[] {
    return [...this.files.values()].sort((a, b) => b.count - a.count || (a.path < b.path ? -1 : 1)).slice(0, most);
  }

  /** All that was counted, and forgets it. */
  take(): Counted[] {
    const all = [...this.files.values()];
    this.files.clear();
    return all;
  }
}
