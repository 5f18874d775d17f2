import type { Doors, FastPath, Method } from "../core/method.ts";
import type { Revision } from "../core/service.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Entry } from "./member.ts";
import type { CounterMemory } from "./memory.ts";

/** ms between two times that counts are fetched; asking for the status fetches them too. */
const COLLECT = 5000;

/** What answers in the kernel for methods that run in workers. It may be slow or fail without anybody waiting. */
export class FastSide {
  readonly #methods: readonly Method[];
  readonly #doorsOf: (method: Method) => Doors;
  readonly #memory: CounterMemory;
  readonly #paths = new Map<string, FastPath>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(methods: readonly Method[], doorsOf: (method: Method) => Doors, memory: CounterMemory) {
    this.#methods = methods.filter(({ fastPath }) => fastPath !== undefined);
    this.#doorsOf = doorsOf;
    this.#memory = memory;
  }

  /**
   * A revision runs. `entryOf`: its entries as they are at any moment; `served`: the number of the revision that the
   * workers have.
   */
  follow(entries: readonly Entry[], entryOf: (service: string) => Entry, revision: Revision, served: number): void {
    const { settings, geography } = revision.config;
    for (const method of this.#methods) {
      const services = entries.map(({ service }) => service).filter((service) => service.method === method.name);
      this.#queue = this.#queue.then(async () => {
        const path = await this.#pathOf(method, services.length > 0);
        if (services.length === 0) {
          await path?.remove();
          this.#paths.delete(method.name);
          return;
        }
        const snapshot = (service: string): Snapshot => entryOf(service).snapshot;
        const { seed, epoch } = revision;
        const shared = { settings: settings[method.name], geography, revision: served, seed, epoch };
        await path!.follow({ services, snapshot, ...shared });
      });
    }
    this.#timer ??= setInterval(() => this.collect(), COLLECT);
    this.#timer.unref();
  }

  async #pathOf(method: Method, make: boolean): Promise<FastPath | undefined> {
    let path = this.#paths.get(method.name);
    if (path === undefined && make) {
      path = await method.fastPath!(this.#doorsOf(method));
      this.#paths.set(method.name, path);
    }
    return path;
  }

  /** A health or weight change. */
  tell(snapshot: Snapshot): void {
    for (const path of this.#paths.values()) path.changed(snapshot);
  }

  /** Adds what was counted in the kernel to what workers have counted. */
  collect(): void {
    for (const path of this.#paths.values())
      path.takeCounts((service, backend, counter, amount) => this.#memory.add(service, backend, counter, amount));
  }

  describe(method: string): string[] {
    return this.#paths.get(method)?.describe() ?? [];
  }

  async release(): Promise<void> {
    await this.#end((path) => path.release());
  }

  async remove(): Promise<void> {
    await this.#end((path) => path.remove());
  }

  async #end(how: (path: FastPath) => Promise<void>): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    for (const path of this.#paths.values()) await how(path);
    await this.#queue;
  }
}
