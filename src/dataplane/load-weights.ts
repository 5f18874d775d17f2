import type { Backend } from "../core/backend.ts";

/** Parts of a weight: what a report changes is told in sixteenths. */
export const PARTS = 16;
/** Who says that it is full still gets so much of its weight: its next answer must be able to say something else. */
const LEAST = 1 / 8;
/**
 * ms in which a changed report is followed two thirds of the way. Reports are seconds old, and work that was given shows
 * late: a balancer that follows at once swings (a backend at load l turns an error into l / (1 - l) of it).
 */
const FOLLOWS_IN = 15_000;
/** Parts by which a wanted weight must differ from the one in force: smaller moves are not worth their open slots. */
const WORTH = 0.75;

/** So near to what is reported it is as good as there: reports are told to a hundredth. */
const ARRIVED = 0.005;

interface Followed {
  /** Where its free part was at `at`, and where it is going. */
  value: number;
  target: number;
  parts: number;
}

/**
 * Weights by reported load: what is written, times the part that is free (1 - load), followed slowly and in steps. Only
 * how backends differ counts, so a pool that is evenly loaded is left alone however busy it is. Who reports nothing is taken
 * for the average of those who do.
 */
export class LoadWeights {
  readonly #followed = new Map<number, Followed>();
  #at = 0;

  /** Takes in what these backends report at `now`, ms. True when the parts of some have changed. */
  follow(backends: readonly Pick<Backend, "id" | "load">[], now: number): boolean {
    const gone = 1 - Math.exp(-Math.max(0, now - this.#at) / FOLLOWS_IN);
    this.#at = now;
    const targets = targetsOf(backends);
    for (const id of [...this.#followed.keys()]) if (!targets.has(id)) this.#followed.delete(id);
    for (const [id, target] of targets) {
      const known = this.#followed.get(id);
      if (!known) this.#followed.set(id, { value: target, target, parts: 0 });
      else {
        known.value += (known.target - known.value) * gone;
        known.target = target;
      }
    }
    const freest = this.#most("value");
    let changed = false;
    for (const one of this.#followed.values()) {
      const wanted = (one.value / freest) * PARTS;
      if (one.parts !== 0 && Math.abs(wanted - one.parts) < WORTH) continue;
      one.parts = Math.max(1, Math.round(wanted));
      changed = true;
    }
    return changed;
  }

  #most = (what: "value" | "target"): number =>
    Math.max(LEAST, ...[...this.#followed.values()].map((one) => one[what]));

  /** Is some weight still on its way, though no report comes? */
  get moving(): boolean {
    const freest = this.#most("target");
    return [...this.#followed.values()].some(
      ({ value, target, parts }) =>
        Math.abs(value - target) > ARRIVED && Math.abs((target / freest) * PARTS - parts) >= WORTH,
    );
  }

  /** Parts of its weight that a backend gets, 1 to PARTS. */
  partsOf(id: number): number {
    return this.#followed.get(id)?.parts ?? PARTS;
  }
}

/** The free part of each, by id. */
function targetsOf(backends: readonly Pick<Backend, "id" | "load">[]): Map<number, number> {
  const free = (load: number): number => Math.max(LEAST, 1 - load);
  const told = backends.flatMap(({ load }) => (load === null ? [] : [free(load)]));
  const average = told.length === 0 ? 1 : told.reduce((sum, one) => sum + one, 0) / told.length;
  return new Map(backends.map(({ id, load }) => [id, load === null ? average : free(load)]));
}
