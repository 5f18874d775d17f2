import type { Scheduler, SchedulerDefinition } from "../../src/core/scheduler.ts";
import { nothingTried } from "../../src/core/scheduler.ts";
import { BACKENDS, drawWork, exponential, type Scene, SimulatedBackend, seeded } from "./uneven.ts";

/** Events in the order of their times: a binary heap. */
class Agenda {
  now = 0;
  readonly #heap: { at: number; order: number; call: () => void }[] = [];
  #order = 0;

  after(ms: number, call: () => void): void {
    const heap = this.#heap;
    heap.push({ at: this.now + ms, order: this.#order++, call });
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >>> 1;
      if (!before(heap[i]!, heap[parent]!)) break;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  /** The next event happens; false when there is none. */
  step(): boolean {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return false;
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      for (let i = 0; ; ) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
        if (!before(heap[child]!, heap[i]!)) break;
        [heap[i], heap[child]] = [heap[child]!, heap[i]!];
        i = child;
      }
    }
    this.now = first.at;
    first.call();
    return true;
  }
}

interface Due {
  at: number;
  order: number;
}
const before = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/**
 * A scheduler before the backends of a scene, in simulated time: the same model as over sockets, without a machine's
 * noise. Deterministic. @returns latencies in ms, ascending.
 */
export function simulate(definition: SchedulerDefinition, scene: Scene, seconds: number, seed: number): number[] {
  const agenda = new Agenda();
  const world = { now: () => agenda.now, after: (ms: number, call: () => void) => agenda.after(ms, call) };
  const backends = Array.from({ length: BACKENDS }, (_, i) => new SimulatedBackend(scene, i, world));
  const active = new Float64Array(BACKENDS);
  const set = {
    ids: backends.map((_, i) => i),
    names: backends.map((_, i) => `10.0.0.${i}:80`),
    weights: backends.map(() => 1),
  };
  const env = { random: seeded(seed + 1), now: world.now, seed, load: (index: number) => active[index]! };
  const scheduler: Scheduler = definition.create(set, definition.options.parse({}), env);
  const random = seeded(seed);
  const latencies: number[] = [];
  const elsewhere = (index: number, own: () => number): void => {
    const rate = scene.elsewhere(index, agenda.now);
    if (rate > 0) backends[index]!.arrive(drawWork(own), () => {});
    if (agenda.now < seconds * 1000)
      agenda.after(rate > 0 ? exponential(1000 / rate, own()) : 50, () => elsewhere(index, own));
  };
  for (const index of set.ids) elsewhere(index, seeded(seed + 100 + index));
  const arrive = (): void => {
    if (agenda.now > seconds * 1000) return;
    const begun = agenda.now;
    const index = scheduler.pick(Math.floor(random() * 2 ** 32), nothingTried);
    scheduler.began?.(index);
    active[index]!++;
    backends[index]!.arrive(drawWork(random), () => {
      active[index]!--;
      scheduler.ended?.(index, "done");
      latencies.push(agenda.now - begun);
    });
    agenda.after(exponential(1000 / scene.rate, random()), arrive);
  };
  arrive();
  while (agenda.step()) {}
  return latencies.sort((a, b) => a - b);
}

export const quantile = (ascending: readonly number[], part: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(part * ascending.length))] ?? 0;
