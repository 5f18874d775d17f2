import { defineScheduler, type EligibleSet, type Scheduler, type SchedulerEnv, type Tried } from "../core/scheduler.ts";
import { formerIndices } from "./carry.ts";
import { noOptions } from "./options.ts";
import { fillRound } from "./round.ts";

/** Turns in order, whatever the weights. */
class RoundRobin implements Scheduler {
  readonly set: EligibleSet;
  /** The index whose turn is next. */
  cursor: number;
  #marked = -1;

  constructor(set: EligibleSet, env: SchedulerEnv, previous?: Scheduler) {
    this.set = set;
    this.cursor =
      previous instanceof RoundRobin && previous.set.ids.length > 0
        ? carriedCursor(set, previous)
        : // Workers that start together must not all begin with the first backend.
          Math.floor(env.random() * set.ids.length);
  }

  pick(_key: number, tried: Tried): number {
    const size = this.set.ids.length;
    for (let step = 0; step < size; step++) {
      const index = this.#wrap(this.cursor + step);
      if (tried.size > 0 && tried.has(index)) continue;
      this.cursor = this.#wrap(index + 1);
      return index;
    }
    return -1;
  }

  order(_key: number, out: Uint16Array): number {
    const count = Math.min(out.length, this.set.ids.length);
    for (let place = 0; place < count; place++) out[place] = this.#wrap(this.cursor + place);
    if (count > 0) this.cursor = this.#wrap(this.cursor + 1);
    return count;
  }

  turns(out: Uint16Array): number {
    return fillRound(
      this.set.ids.map(() => 1),
      out,
    );
  }

  mark(): void {
    this.#marked = this.cursor;
  }

  returned(): boolean {
    return this.cursor === this.#marked;
  }

  #wrap(index: number): number {
    const size = this.set.ids.length;
    return index < size ? index : index - size;
  }
}

/** Where the first backend that is still there stands, from the one whose turn it was. */
function carriedCursor(set: EligibleSet, previous: RoundRobin): number {
  const now = formerIndices(previous.set, set);
  for (let step = 0; step < now.length; step++) {
    const index = now[(previous.cursor + step) % now.length]!;
    if (index >= 0) return index;
  }
  return 0;
}

export default defineScheduler({
  name: "round-robin",
  summary: "Every backend in turn; weights are not read.",
  options: noOptions,
  faces: ["pick", "order", "kernel"],
  kernelId: 1,
  needs: {},
  create: (set, _options, env, previous) => new RoundRobin(set, env, previous),
});
