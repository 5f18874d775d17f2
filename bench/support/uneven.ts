/**
 * The backends of `bench schedulers`, as a model: what they can do, and how it changes over time. A request carries its
 * work in ms; a backend does as many at a time as it has slots, each at its present speed, and the rest wait in order.
 */
export const BACKENDS = 10;
/** Requests that a backend works on at a time; more wait. */
export const SLOTS = 4;
/** Work of a request, ms: what every one takes, and the mean of what is added, exponentially distributed. */
export const WORK = { least: 5, more: 5 };
const MEAN_WORK = WORK.least + WORK.more;
/** After this time other backends are the slow ones, ms. */
const PERIOD = 3000;
const STALL = { every: 1000, for: 200 };
const SLOW = 4;

export interface Scene {
  summary: string;
  /** Requests per second that the balancer gets. */
  rate: number;
  /** How many times slower than the others a backend is at this time. */
  slowness(backend: number, at: number): number;
  /** Until when a backend does nothing at all at this time; 0: it works. */
  stalledUntil(backend: number, at: number): number;
  /** Requests per second that a backend gets from elsewhere, past the balancer. */
  elsewhere(backend: number, at: number): number;
}

const turn = (at: number): number => Math.floor(at / PERIOD);
/** Is it one of the `count` backends whose turn it is? The turns go round by three, so that nobody has two in a row. */
const among = (backend: number, at: number, count: number): boolean => {
  const first = (turn(at) * 3) % BACKENDS;
  return (backend - first + BACKENDS) % BACKENDS < count;
};

export const scenes: Record<string, Scene> = {
  /** 8 fast ones can do 3,200 a second, 2 slow ones 200, less what one loses to its stalls: 65 % of 3,320. */
  uneven: {
    summary: "two of ten backends are 4 times slower, one stops for 200 ms each second; others every 3 s",
    rate: 2150,
    slowness: (backend, at) => (among(backend, at, 2) ? SLOW : 1),
    stalledUntil(backend, at) {
      const begin = Math.floor(at / STALL.every) * STALL.every;
      const stalls = among(backend, at, 3) && !among(backend, at, 2);
      return stalls && at - begin < STALL.for ? begin + STALL.for : 0;
    },
    elsewhere: () => 0,
  },
  /** All alike can do 4,000 a second; 3 x 340 come from elsewhere, 1,600 from the balancer: 65 %. */
  shared: {
    summary: "three of ten equal backends get 85 % of what they can do from elsewhere; others every 3 s",
    rate: 1600,
    slowness: () => 1,
    stalledUntil: () => 0,
    elsewhere: (backend, at) => (among(backend, at, 3) ? (0.85 * SLOTS * 1000) / MEAN_WORK : 0),
  },
};

/** A random source that gives the same numbers again (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const exponential = (mean: number, unit: number): number => -mean * Math.log(1 - unit);
export const drawWork = (random: () => number): number => WORK.least + exponential(WORK.more, random());

/** The world of a simulated backend; times in ms since the scene began. */
export interface World {
  now(): number;
  after(ms: number, call: () => void): void;
}

/** One backend: slots, and a queue before them. */
export class SimulatedBackend {
  readonly #scene: Scene;
  readonly #index: number;
  readonly #world: World;
  readonly #waiting: { work: number; done: () => void }[] = [];
  #busy = 0;

  constructor(scene: Scene, index: number, world: World) {
    this.#scene = scene;
    this.#index = index;
    this.#world = world;
  }

  /** Requests that are here, at work or waiting. */
  get inFlight(): number {
    return this.#busy + this.#waiting.length;
  }

  arrive(work: number, done: () => void): void {
    this.#waiting.push({ work, done });
    this.#next();
  }

  #next(): void {
    if (this.#busy >= SLOTS) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#busy++;
    const ms = next.work * this.#scene.slowness(this.#index, this.#world.now());
    this.#world.after(ms, () => this.#end(next.done));
  }

  /** In a stall nothing ends. */
  #end(done: () => void): void {
    const now = this.#world.now();
    const until = this.#scene.stalledUntil(this.#index, now);
    if (until > now) {
      this.#world.after(until - now, () => this.#end(done));
      return;
    }
    this.#busy--;
    done();
    this.#next();
  }
}
