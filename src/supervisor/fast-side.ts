import { inTurn } from "../core/in-turn.ts";
import type { Doors, FastPath, Method, Running } from "../core/method.ts";
import { toProblem } from "../core/problem.ts";
import type { Revision } from "../core/service.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Trouble } from "../core/trouble.ts";
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
  readonly #alone = inTurn();
  /** What went wrong last, by method. */
  readonly #failed = new Map<string, Trouble>();

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
      const snapshot = (service: string): Snapshot => entryOf(service).snapshot;
      const { seed, epoch } = revision;
      const shared = { settings: settings[method.name], geography, revision: served, seed, epoch };
      void this.#alone(() => this.#tried(method, () => this.#follow(method, { services, snapshot, ...shared })));
    }
    this.#timer ??= setInterval(() => this.collect(), COLLECT);
    this.#timer.unref();
  }

  async #follow(method: Method, running: Running): Promise<void> {
    const path = await this.#pathOf(method, running.services.length > 0);
    if (running.services.length > 0) return path!.follow(running);
    await path?.remove();
    this.#paths.delete(method.name);
  }

  /** Does `work` for a method. What it throws is told, and the workers answer alone: nobody knows what the path does now. */
  async #tried(method: Method, work: () => Promise<void>): Promise<void> {
    const { name } = method;
    try {
      await work();
      this.#failed.delete(name);
    } catch (thrown) {
      const message = `what answers in the kernel for ${name} failed: ${toProblem(thrown, "kernel").message}`;
      this.#failed.set(name, { code: "SLUICE_FAST_PATH", message });
      this.#doorsOf(method).log("error", `${message}; the workers answer alone`, { code: "SLUICE_FAST_PATH" });
      // It may be what has failed: then there is nothing left to do.
      const release = this.#paths.get(name)?.release();
      await release?.catch(() => {});
    }
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

  /** What is wrong with a method's path, until the next revision can be followed. */
  troubles(method: string): Trouble[] {
    const failed = this.#failed.get(method);
    return failed ? [failed] : [];
  }

  async release(): Promise<void> {
    await this.#end((path) => path.release());
  }

  async remove(): Promise<void> {
    await this.#end((path) => path.remove());
  }

  async #end(how: (path: FastPath) => Promise<void>): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    for (const method of this.#methods) {
      const path = this.#paths.get(method.name);
      if (path) await this.#tried(method, () => how(path));
    }
    await this.#alone(async () => {});
  }
}
