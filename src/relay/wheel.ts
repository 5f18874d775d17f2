/** A thing with one deadline; extend it. Lives in at most one slot of a wheel, as a node of its ring. */
export abstract class Timed {
  /** Monotonic ms; Infinity: none. */
  deadline = Number.POSITIVE_INFINITY;
  /** @internal When the wheel looks at it next; Infinity when it is in no slot. */
  due = Number.POSITIVE_INFINITY;
  /** @internal */
  before: Timed | null = null;
  /** @internal */
  after: Timed | null = null;
  /** The deadline has passed; it is cleared before the call. */
  abstract expired(): void;
}

const SLOTS = 1024;
/** So many ticks after the last look the program has stood still. */
const STILL = 4;

/**
 * Deadlines of many connections at the price of a field write: a deadline that moves later only changes a number, and
 * the slot is put right when it comes round. One interval timer per wheel. (Varghese and Lauck, SOSP 1987, scheme 6.)
 *
 * Time in which the program stood still (stopped, without a processor, in a machine that was moved) counts for nobody:
 * what came meanwhile is there and has yet to be read, and timers run before it is.
 */
export class Wheel {
  private readonly slots: (Timed | null)[] = new Array<Timed | null>(SLOTS).fill(null);
  private readonly timer: ReturnType<typeof setInterval>;
  private turned: number;
  /** The clock's time of the last look, and whether that was late. */
  private looked: number;
  private late = false;
  /** Whom `turn` looks at next; an expiry may take away any. */
  private upcoming: Timed | null = null;
  /** Time of the last tick, less that in which the program stood still: near enough for time-outs, and free. */
  now: number;
  /** What `now` was when it last did. */
  stoodAt = Number.NEGATIVE_INFINITY;
  /** And the time of day, ms since 1970. */
  date = Date.now();

  /** `clock`: monotonic ms. `tick`: ms; deadlines are met up to one tick late. */
  private readonly clock: () => number;
  private readonly tick: number;
  constructor(clock: () => number, tick = 50) {
    this.clock = clock;
    this.tick = tick;
    this.now = this.looked = clock();
    this.turned = Math.floor(this.now / tick);
    this.timer = setInterval(() => this.turn(), tick);
    this.timer.unref?.();
  }

  /** `expired` is called `after` ms from now. */
  set(item: Timed, after: number): void {
    item.deadline = this.now + after;
    if (item.due <= item.deadline) return;
    this.remove(item);
    this.insert(item);
  }

  clear(item: Timed): void {
    item.deadline = Number.POSITIVE_INFINITY;
  }

  /** Forgets it at once: for what is going away. */
  remove(item: Timed): void {
    if (item.due === Number.POSITIVE_INFINITY) return;
    if (item === this.upcoming) this.upcoming = item.after;
    if (item.before !== null) item.before.after = item.after;
    else this.slots[this.slotOf(item.due)] = item.after;
    if (item.after !== null) item.after.before = item.before;
    item.before = item.after = null;
    item.due = Number.POSITIVE_INFINITY;
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Looks at every slot whose time has come. */
  turn(): void {
    this.now += this.passed();
    this.date = Date.now();
    const until = Math.floor(this.now / this.tick);
    while (this.turned < until) {
      this.turned++;
      this.upcoming = this.slots[this.turned % SLOTS]!;
      while (this.upcoming !== null) {
        const item: Timed = this.upcoming;
        this.upcoming = item.after;
        if (item.due <= this.now) this.ripe(item);
      }
    }
  }

  /** Time since the last look that counts, ms: none after a stand, but one that is always late gets on. */
  private passed(): number {
    const time = this.clock();
    const passed = time - this.looked;
    const before = this.late;
    this.looked = time;
    this.late = passed > STILL * this.tick;
    if (!this.late) return passed;
    this.stoodAt = this.now;
    return before ? this.tick : 0;
  }

  private ripe(item: Timed): void {
    this.remove(item);
    if (item.deadline === Number.POSITIVE_INFINITY) return;
    if (item.deadline > this.now) {
      this.insert(item);
      return;
    }
    item.deadline = Number.POSITIVE_INFINITY;
    item.expired();
  }

  private insert(item: Timed): void {
    // Into a slot that is not being walked: at least one tick ahead.
    item.due = Math.max(item.deadline, (this.turned + 1) * this.tick);
    const slot = this.slotOf(item.due);
    const first = this.slots[slot]!;
    item.after = first;
    if (first !== null) first.before = item;
    this.slots[slot] = item;
  }

  private slotOf(due: number): number {
    return Math.ceil(due / this.tick) % SLOTS;
  }
}
