import type { EventBody } from "../core/event.ts";
import type { Problem } from "../core/problem.ts";

/** A service that could not start, and why. */
export interface FailedService {
  service: string;
  problem: Problem;
}

/** ms. */
const FIRST_RETRY = 1000;
const LAST_RETRY = 30_000;

/** Services left out because they could not start: the rest serves, and they are tried again with growing pauses. */
export class LeftOut {
  readonly #record: (event: EventBody) => void;
  readonly #serves: (service: string) => boolean;
  #all: readonly FailedService[] = [];
  #timer: Timer | null = null;
  #after = FIRST_RETRY;

  /** `serves`: is the service part of what runs? */
  constructor(record: (event: EventBody) => void, serves: (service: string) => boolean) {
    this.#record = record;
    this.#serves = serves;
  }

  get all(): readonly FailedService[] {
    return this.#all;
  }

  /** Are these the same services as those that are left out? */
  are(failed: readonly FailedService[]): boolean {
    const names = (list: readonly FailedService[]): Set<string> => new Set(list.map(({ service }) => service));
    return names(failed).symmetricDifference(names(this.#all)).size === 0;
  }

  /** Says which have failed since the last time, and which of those that had failed serve now. */
  become(failed: readonly FailedService[]): void {
    const among = (list: readonly FailedService[], service: string): boolean =>
      list.some((one) => one.service === service);
    for (const { service, problem } of failed)
      if (!among(this.#all, service)) this.#record({ kind: "service", service, what: "failed", problem });
    for (const { service } of this.#all)
      if (!among(failed, service) && this.#serves(service))
        this.#record({ kind: "service", service, what: "serving", problem: null });
    this.#all = failed;
  }

  /** Has `attempt` made after a pause, while there are some; each pause is longer than the last. */
  retry(attempt: () => void): void {
    this.pause();
    if (this.#all.length === 0) {
      this.#after = FIRST_RETRY;
      return;
    }
    this.#timer = setTimeout(attempt, this.#after);
    this.#after = Math.min(this.#after * 2, LAST_RETRY);
  }

  /** No attempt is made until the next `retry`. */
  pause(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
