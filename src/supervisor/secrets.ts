import type { Method, SecretKeeper } from "../core/method.ts";
import type { Problem } from "../core/problem.ts";
import type { Service } from "../core/service.ts";

/** What the keepers of the methods give for some services, by method. */
export type SecretsByMethod = Record<string, unknown>;

/** How often keepers are asked whether something has changed, ms. */
const ASK_EVERY = 1000;

/** Asks the methods that have one for what only their workers may know, and again while it is in use. */
export class Secrets {
  readonly #methods: readonly Method[];
  readonly #say: (text: string) => void;
  readonly #keepers = new Map<string, SecretKeeper>();
  #timer: Timer | null = null;

  constructor(methods: readonly Method[], say: (text: string) => void) {
    this.#methods = methods.filter(({ keeper }) => keeper);
    this.#say = say;
  }

  /** For a revision's services and settings; the problems that refuse it. */
  async of(services: readonly Service[], settings: Record<string, unknown>): Promise<SecretsByMethod | Problem[]> {
    const made: SecretsByMethod = {};
    for (const method of this.#methods) {
      const mine = services.filter((service) => service.method === method.name);
      if (mine.length === 0) continue;
      const keeper = this.#keepers.get(method.name) ?? (await method.keeper!());
      this.#keepers.set(method.name, keeper);
      const kept = keeper.keep(mine, settings[method.name], this.#say);
      if (!kept.ok) return kept.problems;
      if (kept.value !== null) made[method.name] = kept.value;
    }
    return made;
  }

  /**
   * Goes on asking for a revision that has been committed; `tell` hears of what has become another one. What cannot be
   * read for now is said, and what workers have stays in use.
   */
  follow(
    services: readonly Service[],
    settings: Record<string, unknown>,
    now: SecretsByMethod,
    tell: (method: string, value: unknown) => void,
  ): void {
    this.stop();
    if (Object.keys(now).length === 0) return;
    let last = now;
    let said = "";
    this.#timer = setInterval(async () => {
      const next = await this.of(services, settings);
      if (Array.isArray(next)) {
        const words = next.map(({ message }) => message).join(" ");
        if (words !== said) this.#say(words);
        said = words;
        return;
      }
      said = "";
      for (const [method, value] of Object.entries(next)) if (value !== last[method]) tell(method, value);
      last = next;
    }, ASK_EVERY);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** What a method's keeper says of itself. */
  describe(method: string): string[] {
    return this.#keepers.get(method)?.describe() ?? [];
  }
}
