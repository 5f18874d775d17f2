import { inTurn } from "../core/in-turn.ts";
import type { Applier, CountsByService, Doors, Method, Prepared, RevisionFacts } from "../core/method.ts";
import { type Problem, toProblem } from "../core/problem.ts";
import type { Revision } from "../core/service.ts";
import type { Entry } from "./member.ts";

interface Changed {
  entry: Entry;
  revision: Revision;
}

/** Services of the methods that run in the kernel: appliers, made when first needed. */
export class KernelSide {
  readonly #methods: readonly Method[];
  readonly #doorsOf: (method: Method) => Doors;
  readonly #appliers = new Map<Method, Applier<unknown>>();
  /** Refreshes run one after the other, and never beside a prepare. */
  readonly #alone = inTurn();

  /** `doorsOf`: each method has its own, since what it changes on the host is owned by it. */
  constructor(methods: readonly Method[], doorsOf: (method: Method) => Doors) {
    this.#methods = methods.filter(({ runs }) => runs === "kernel");
    this.#doorsOf = doorsOf;
  }

  methodOf(entry: Entry): Method | undefined {
    return this.#methods.find(({ name }) => name === entry.service.method);
  }

  applierOf(entry: Entry): Applier<unknown> | undefined {
    const method = this.methodOf(entry);
    return method && this.#appliers.get(method);
  }

  /**
   * Prepares every kernel method for these entries, all or nothing: on a problem, what was prepared is aborted. A
   * method that has no service left is prepared with an empty set, so that its old ones go.
   */
  prepare(entries: readonly Entry[], revision: Revision): Promise<Prepared | Problem[]> {
    return this.#alone(async () => {
      const prepared: Prepared[] = [];
      const all = this.#methods.map((method) => ({
        method,
        mine: entries.filter(({ service }) => service.method === method.name),
      }));
      // What comes before what goes: a service that changes its method is never nobody's.
      for (const { method, mine } of all.toSorted((a, b) => Number(b.mine.length > 0) - Number(a.mine.length > 0))) {
        const result = await this.#prepareOne(method, mine, revision);
        if (result === null) continue;
        if (Array.isArray(result)) {
          for (const one of prepared.reverse()) await one.abort();
          return result;
        }
        prepared.push(result);
      }
      return {
        commit: async () => {
          for (const one of prepared) await one.commit();
        },
        abort: async () => {
          for (const one of prepared.reverse()) await one.abort();
        },
      };
    });
  }

  async #prepareOne(
    method: Method,
    entries: readonly Entry[],
    revision: Revision,
  ): Promise<Prepared | Problem[] | null> {
    try {
      let applier = this.#appliers.get(method);
      if (!applier) {
        if (entries.length === 0) return null;
        applier = await method.control!(this.#doorsOf(method));
        this.#appliers.set(method, applier);
      }
      const facts = factsOf(revision);
      return await applier.prepare(entries.map((entry) => method.compile(entry.service, entry.snapshot, facts)));
    } catch (thrown) {
      const problem = toProblem(thrown, "kernel");
      return [{ ...problem, path: ["services", entries[0]?.service.name ?? method.name, ...problem.path] }];
    }
  }

  /** Health or weights of a service have changed: what waits for its turn is put in force together. */
  refresh(entry: Entry, revision: Revision): void {
    if (this.#changed.size === 0) void this.#alone(() => this.#refresh());
    this.#changed.set(entry.service.name, { entry, revision });
  }

  /** Services to be refreshed, as they were when it was last asked for. */
  #changed = new Map<string, Changed>();

  async #refresh(): Promise<void> {
    const changed = [...this.#changed.values()];
    this.#changed = new Map();
    for (const [method, mine] of Map.groupBy(changed, ({ entry }) => this.methodOf(entry)))
      if (method) await this.#refreshMethod(method, mine);
  }

  async #refreshMethod(method: Method, changed: readonly Changed[]): Promise<void> {
    try {
      const compiled = changed.map(({ entry, revision }) =>
        method.compile(entry.service, entry.snapshot, factsOf(revision)),
      );
      await this.#appliers.get(method)?.refresh(compiled);
    } catch (thrown) {
      const [first, ...others] = changed;
      // One that is refused must not keep the others from what they need.
      if (others.length > 0) for (const one of changed) await this.#refreshMethod(method, [one]);
      else {
        const problem = toProblem(thrown, "kernel");
        const message = `service ${first!.entry.service.name}: ${problem.message}`;
        this.#doorsOf(method).log("error", message, { code: problem.code });
      }
    }
  }

  /** Resolves when every refresh asked for so far has been done. */
  idle(): Promise<void> {
    return this.#alone(async () => {});
  }

  /** Joins a VIP checker's private network to the data plane: one applier that has such checks does it for all. */
  async join(pid: number): Promise<void> {
    for (const [method, applier] of this.#appliers) {
      if (method.traits.checks !== "vip-at-backend" || !applier.joinChecker) continue;
      try {
        await applier.joinChecker(pid);
      } catch (thrown) {
        const { code, message } = toProblem(thrown, "kernel");
        this.#doorsOf(method).log("error", `checks of VIPs: ${message}`, { code });
        throw thrown;
      }
      return;
    }
  }

  async setRole(role: "active" | "standby"): Promise<void> {
    for (const applier of this.#appliers.values()) await applier.setRole?.(role);
  }

  async counts(): Promise<CountsByService> {
    const all: CountsByService[] = [];
    for (const applier of this.#appliers.values()) all.unshift(await applier.counts());
    return {
      get(service) {
        for (const counts of all) {
          const found = counts.get(service);
          if (found) return found;
        }
        return undefined;
      },
    };
  }

  /** Stops touching the kernel; what is pinned goes on forwarding. */
  async release(): Promise<void> {
    await this.idle();
    for (const applier of this.#appliers.values()) await applier.release();
  }

  /** Removes all that the appliers ever set. */
  async remove(): Promise<void> {
    await this.idle();
    for (const applier of this.#appliers.values()) await applier.remove();
    this.#appliers.clear();
  }
}

const factsOf = ({ number, seed, config }: Revision): RevisionFacts => ({
  number,
  seed,
  geography: config.geography,
  ...(config.guard === undefined ? {} : { guard: config.guard }),
});
