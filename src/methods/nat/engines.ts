import type { Applier, CountsByService, Prepared } from "../../core/method.ts";
import { type Problem, toProblem } from "../../core/problem.ts";
import type { Trouble } from "../../core/trouble.ts";
import type { NatService } from "./compile.ts";

export type EngineName = "xdp" | "nftables";

/** How each engine is made, when a service first needs it. */
export type EngineMakers = Record<EngineName, () => Promise<Applier<NatService>>>;

/** What the kernel or its configuration refuses, and so what makes `auto` turn to the other engine. */
const refusals: readonly string[] = [
  "SLUICE_BPF_LOAD",
  "SLUICE_BPF_MEMORY",
  "SLUICE_BPF_ATTACH",
  "SLUICE_PRIVILEGE",
  "SLUICE_HOST_COMMAND",
];

/**
 * Sends each service to the engine it asks for. `auto` is settled once, by the first revision: xdp when it loads and
 * attaches, else nftables; later revisions stay with it, since a flow cannot change engines.
 */
export class NatEngines implements Applier<NatService> {
  readonly #makers: EngineMakers;
  readonly #log: (message: string) => void;
  readonly #engines = new Map<EngineName, Applier<NatService>>();
  #auto: EngineName | null = null;
  /** Engine of each service that runs. */
  #placed = new Map<string, EngineName>();

  constructor(makers: EngineMakers, log: (message: string) => void) {
    this.#makers = makers;
    this.#log = log;
  }

  async prepare(next: readonly NatService[]): Promise<Prepared | Problem[]> {
    if (this.#auto !== null || !next.some(({ engine }) => engine === "auto"))
      return this.#prepareAs(next, this.#auto ?? "xdp", null);
    const onXdp = await this.#prepareAs(next, "xdp", "xdp");
    if (!Array.isArray(onXdp)) return onXdp;
    const refused = onXdp.find(({ code }) => refusals.includes(code));
    // Where limits are asked for, a way without them is none.
    if (!refused || next.some(({ engine, limits }) => engine === "xdp" || limits !== undefined)) return onXdp;
    this.#log(`nat: xdp is not to be had (${refused.message}); nftables takes its place`);
    return this.#prepareAs(next, "nftables", "nftables");
  }

  /** `settles`: what a commit makes of `auto` from then on. */
  async #prepareAs(
    next: readonly NatService[],
    auto: EngineName,
    settles: EngineName | null,
  ): Promise<Prepared | Problem[]> {
    const placed = new Map(next.map((s): [string, EngineName] => [s.name, s.engine === "auto" ? auto : s.engine]));
    const prepared: Prepared[] = [];
    const abort = async (): Promise<void> => {
      for (const one of prepared.toReversed()) await one.abort();
    };
    for (const name of ["nftables", "xdp"] as const) {
      const mine = next.filter((service) => placed.get(service.name) === name);
      const result = await this.#prepareEngine(name, mine);
      if (Array.isArray(result)) {
        await abort();
        return result;
      }
      if (result) prepared.push(result);
    }
    const commit = async (): Promise<void> => {
      for (const one of prepared) await one.commit();
      if (next.some((service) => service.lists && placed.get(service.name) === "nftables"))
        this.#log("guard: its lists do not reach the services of nat that the nftables engine has");
      this.#placed = placed;
      this.#auto ??= settles;
    };
    return { commit, abort };
  }

  async #prepareEngine(name: EngineName, mine: readonly NatService[]): Promise<Prepared | Problem[] | null> {
    const known = this.#engines.get(name);
    if (!known && mine.length === 0) return null;
    try {
      const engine = known ?? (await this.#makers[name]());
      const result = await engine.prepare(mine);
      if (!Array.isArray(result)) this.#engines.set(name, engine);
      // An engine that never ran anything leaves nothing behind.
      else if (!known) await engine.remove();
      return result;
    } catch (thrown) {
      return [toProblem(thrown, "kernel")];
    }
  }

  async refresh(changed: readonly NatService[]): Promise<void> {
    for (const [name, engine] of this.#engines) {
      const mine = changed.filter((service) => this.#placed.get(service.name) === name);
      if (mine.length > 0) await engine.refresh(mine);
    }
  }

  async setRole(role: "active" | "standby"): Promise<void> {
    for (const engine of this.#engines.values()) await engine.setRole?.(role);
  }

  async counts(): Promise<CountsByService> {
    const all = new Map<string, CountsByService>();
    for (const [name, engine] of this.#engines) all.set(name, await engine.counts());
    return { get: (service) => all.get(this.#placed.get(service) ?? "")?.get(service) };
  }

  describe(service: string): string[] {
    return this.#engines.get(this.#placed.get(service)!)?.describe(service) ?? [];
  }

  troubles(service: string): Trouble[] {
    const engine = this.#engines.get(this.#placed.get(service)!);
    return engine?.troubles?.(service) ?? [];
  }

  async release(): Promise<void> {
    for (const engine of this.#engines.values()) await engine.release();
  }

  async remove(): Promise<void> {
    for (const engine of this.#engines.values()) await engine.remove();
    this.#placed.clear();
  }
}
