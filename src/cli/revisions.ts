import { isDeepStrictEqual } from "node:util";
import type { KeptRevision, Outcome } from "../admin/api.ts";
import { catalog } from "../catalog.ts";
import { diagnose } from "../config/diagnose.ts";
import { type Loaded, loadConfig } from "../config/load.ts";
import { parseConfigValue } from "../config/parse.ts";
import { inTurn } from "../core/in-turn.ts";
import { configProblem, ok, type Problem, type Result, refuse } from "../core/problem.ts";
import { type Assembled, attempt } from "../supervisor/daemon.ts";
import { History, type Kept } from "../supervisor/history.ts";
import type { Instance } from "../system/instance.ts";
import { refusedText } from "./refused.ts";

type Sound = Loaded & { ok: true };

/** From a file, or from what was kept of an earlier revision, to the running configuration. */
export class Revisions {
  readonly file: string;
  readonly #history: History;
  /** What runs. */
  #running: Kept | null = null;
  /** One after the other, from the file to what is kept: else one would throw away the bundle that another has just made. */
  readonly #alone = inTurn();

  /** `file`: the configuration's absolute path. */
  constructor(instance: Instance, file: string) {
    this.file = file;
    this.#history = new History(instance);
  }

  load(): Promise<Loaded> {
    return loadConfig(this.file, catalog, { bundleDir: this.#history.directory });
  }

  /** The first revision of a daemon. @returns what keeps it from starting. */
  async start({ supervisor, log }: Assembled, loaded: Sound): Promise<Problem[]> {
    const problems = await attempt(() => supervisor.start(loaded.value, loaded.bundle));
    if (problems.length === 0) this.#keep(supervisor.revision!.number, loaded, null, log);
    return problems;
  }

  /** Loads the file anew and applies it whole or not at all. */
  reload(assembled: Assembled): Promise<Outcome> {
    return this.#alone(() => this.#reload(assembled));
  }

  async #reload(assembled: Assembled): Promise<Outcome> {
    const loaded = await this.load();
    const outcome = await this.#apply(assembled, loaded);
    if (loaded.ok && outcome.problems.length === 0) this.#keep(outcome.revision, loaded, null, assembled.log);
    return outcome;
  }

  list(): KeptRevision[] {
    return this.#history.numbers().flatMap((number) => {
      const kept = this.#history.read(number);
      if (kept === null) return [];
      return { revision: number, as: kept.as, at: kept.at, running: number === this.#running?.number };
    });
  }

  /** Runs what revision `to` was, as a new revision; null: the last one before the running one that was different. */
  rollback(assembled: Assembled, to: number | null): Promise<Result<Outcome>> {
    return this.#alone(() => this.#rollback(assembled, to));
  }

  async #rollback(assembled: Assembled, to: number | null): Promise<Result<Outcome>> {
    const kept = to === null ? this.#before() : this.#history.read(to);
    if (kept === null) return refuse(this.#nothing(to));
    const loaded = parseConfigValue(this.file, kept.raw, catalog, kept.bundle);
    const outcome = await this.#apply(assembled, loaded);
    if (!loaded.ok || outcome.problems.length > 0) return ok(outcome);
    this.#keep(outcome.revision, loaded, kept.as, assembled.log);
    const text = `revision ${outcome.revision} is running: what revision ${kept.as} was\n  ${this.file} stays as it is: a reload, or the next start, goes by it again\n`;
    return ok({ ...outcome, text });
  }

  #before(): Kept | null {
    const running = this.#running;
    for (const number of this.#history.numbers().reverse()) {
      const kept = running !== null && number < running.as ? this.#history.read(number) : null;
      if (kept !== null && !isDeepStrictEqual(kept.raw, running!.raw)) return kept;
    }
    return null;
  }

  #nothing(to: number | null): Problem {
    const numbers = this.#history.numbers().join(", ");
    const message =
      to === null
        ? `No other configuration has run before revision ${this.#running?.as} that is still kept.`
        : `Revision ${to} is not kept: ${numbers || "none"} are.`;
    return configProblem("SLUICE_REVISION", [], message);
  }

  async #apply({ supervisor, log }: Assembled, loaded: Loaded): Promise<Outcome> {
    const before = supervisor.revision?.number ?? 0;
    const stays = `nothing was changed; the running configuration stays (revision ${before})`;
    if (!loaded.ok) {
      const { problems, source } = loaded;
      log("error", "the configuration is refused; the running one stays", {
        problems: problems.length,
        file: this.file,
      });
      return { revision: before, problems, text: diagnose(problems, source, { color: false, state: stays }) };
    }
    const problems = await attempt(() => supervisor.apply(loaded.value, loaded.bundle));
    const revision = supervisor.revision?.number ?? 0;
    if (problems.length === 0) {
      log.level = loaded.value.log.level;
      return { revision, problems, text: `revision ${revision} is running\n` };
    }
    const text = refusedText(loaded, problems, { color: false, state: stays });
    return { revision, problems: problems.map(loaded.located), text };
  }

  /** What cannot be written down runs all the same. */
  #keep(number: number, { raw, bundle }: Sound, as: number | null, log: Assembled["log"]): void {
    this.#running = { number, as: as ?? number, at: Date.now(), raw, bundle };
    try {
      this.#history.keep(this.#running);
    } catch (error) {
      log("warn", "the revision cannot be kept for a rollback", { revision: number, why: String(error) });
    }
  }
}
