/**
 * A queue in which every key has its turn: keys take turns, and what has one key stays in order (deficit-free round
 * robin, Nagle, RFC 970). One client that sends a thousand requests delays another's by one place, not by a thousand.
 */
export class FairQueue<T> {
  /** Keys that have something, in the order of their turns. */
  private readonly lines = new Map<number, T[]>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  push(key: number, item: T): void {
    const line = this.lines.get(key);
    if (line === undefined) this.lines.set(key, [item]);
    else line.push(item);
    this.count++;
  }

  /** The one whose turn it is; it stays. */
  first(): T | undefined {
    for (const line of this.lines.values()) return line[0];
    return undefined;
  }

  /** Takes the one whose turn it is; its key goes to the end. */
  shift(): T | undefined {
    for (const [key, line] of this.lines) {
      this.lines.delete(key);
      const item = line.shift();
      if (line.length > 0) this.lines.set(key, line);
      this.count--;
      return item;
    }
    return undefined;
  }

  /** Takes one out of the middle; false when it is not there. */
  remove(key: number, item: T): boolean {
    const line = this.lines.get(key);
    const at = line?.indexOf(item) ?? -1;
    if (at < 0) return false;
    line!.splice(at, 1);
    if (line!.length === 0) this.lines.delete(key);
    this.count--;
    return true;
  }
}
