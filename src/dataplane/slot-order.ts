import { fillOrder, NOBODY } from "../schedulers/maglev-order.ts";
import { Limit, State } from "./generated/layout.ts";
import type { LocalBackend } from "./local-backend.ts";
import { toOrder } from "./orders.ts";
import type { PlaneService } from "./plane-service.ts";
import type { Roster } from "./roster.ts";

/**
 * Of a service whose packets name others: in which order each slot prefers its backends, those that get no new work now
 * included. It is the same at every director with this configuration, whomever that finds healthy.
 */
export class SlotOrder {
  readonly #layers: readonly Uint16Array[];
  #backends: readonly LocalBackend[] = [];
  #of = "";
  #written = "";

  constructor(slots: number) {
    this.#layers = Array.from({ length: Limit.ORDER }, () => new Uint16Array(slots));
  }

  /** Takes all backends of the configuration with their weights. Dear when they, or a weight, have changed. */
  learn(weightOf: ReadonlyMap<LocalBackend, number>, seed: number): void {
    this.#backends = [...weightOf.keys()].sort((a, b) => (a.key < b.key ? -1 : 1));
    const names = this.#backends.map(({ key }) => key);
    const weights = this.#backends.map((one) => weightOf.get(one)!);
    const of = `${seed} ${names.map((name, i) => `${name}=${weights[i]}`)}`;
    if (of === this.#of) return;
    fillOrder(this.#layers, names, weights, seed);
    this.#of = of;
  }

  /** Gives every slot the first of its order that is among `chosen`; one with none of them keeps what stands in `out`. */
  choose(out: Uint16Array, chosen: readonly LocalBackend[]): void {
    const eligible = new Set(chosen);
    const locals = this.#backends.map((one) => (eligible.has(one) ? one.local : -1));
    for (let slot = 0; slot < out.length; slot++)
      for (const layer of this.#layers) {
        const local = locals[layer[slot]!] ?? -1;
        if (local < 0) continue;
        out[slot] = local;
        break;
      }
  }

  /** Writes who may have a slot's flows. Those that live come first: a packet that is sent on to a dead host is lost. */
  write(words: BigUint64Array): void {
    const lives = this.#backends.map(({ state }) => state === State.STATE_UP || state === State.STATE_DRAINING);
    const written = `${this.#of} ${lives} ${this.#backends.map(({ number }) => number)}`;
    if (written === this.#written) return;
    this.#written = written;
    const first = this.#layers[0]!;
    for (let slot = 0; slot < first.length; slot++) {
      const order = this.#layers.map((layer) => layer[slot]!).filter((index) => index !== NOBODY);
      const sorted = [...order.filter((index) => lives[index]), ...order.filter((index) => !lives[index])];
      words[slot] = toOrder(sorted.map((index) => this.#backends[index]!.number));
    }
  }
}

/** Those that are there and get no new work. */
function resters(config: PlaneService, chosen: readonly LocalBackend[]): PlaneService["backends"] {
  const working = new Set(chosen.map(({ id }) => id));
  return config.backends.filter(({ id }) => !working.has(id));
}

/** All backends of a configuration with their weights: the chosen by these, the others by their own. */
export function allWeights(
  config: PlaneService,
  roster: Roster,
  chosen: readonly LocalBackend[],
  weights: readonly number[],
): Map<LocalBackend, number> {
  const working = chosen.map((one, i): [LocalBackend, number] => [one, weights[i]!]);
  const resting = resters(config, chosen).map((one): [LocalBackend, number] => [
    roster.byId(one.id)!,
    Math.max(1, one.weight),
  ]);
  return new Map([...working, ...resting]);
}

/** All that an order depends on besides those that get new work. */
export const restingText = (config: PlaneService, roster: Roster, chosen: readonly LocalBackend[]): string => {
  const resting = resters(config, chosen).map(({ id, weight }) => `${roster.byId(id)!.key} ${weight}`);
  return `before ${resting.sort()}`;
};
