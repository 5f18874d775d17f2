/** Words side by side that are taken and never given back one by one: what belongs together lies together. */
export class Arena {
  words: Int32Array = new Int32Array(FIRST);
  /** The same memory. */
  bytes: Uint8Array = new Uint8Array(this.words.buffer);
  /** Place 0 stands for nothing. */
  private used = 1;

  /** The place of `count` words, all 0; 0 when no more are to be had. What fits a line of the cache is in one. */
  take(count: number): number {
    const left = LINE - (this.used % LINE);
    const at = count > left && left < LINE ? this.used + left : this.used;
    if (at + count > MOST) return 0;
    let size = this.words.length;
    while (at + count > size) size *= 2;
    if (size > this.words.length) {
      const larger = new Int32Array(size);
      larger.set(this.words);
      this.words = larger;
      this.bytes = new Uint8Array(larger.buffer);
    }
    this.used = at + count;
    return at;
  }

  /** Forgets everything. */
  clear(): void {
    this.words.fill(0, 0, this.used);
    this.used = 1;
  }
}

/** Words of a line. */
const LINE = 16;
const FIRST = 1 << 12;
/** 128 MiB. */
const MOST = 1 << 25;
