import { join } from "node:path";
import { ok, type Problem, type Result, refuse } from "../core/problem.ts";
import { background } from "../runtime/background.ts";
import type { Instance } from "../system/instance.ts";

const program = join(import.meta.dirname, "../../bin/sluice");

/** The daemon that is to come after this one: at most one at a time is on its way. */
export class Successor {
  #pid: number | null = null;
  readonly #instance: Instance;
  readonly #ended: (code: number) => void;

  /** `ended` hears the exit code of one that ended while this daemon still serves. */
  constructor(instance: Instance, ended: (code: number) => void) {
    this.#instance = instance;
    this.#ended = ended;
  }

  /**
   * Starts the program that is on disk now, which takes everything over once its configuration holds. Returns its pid.
   * Errors: SLUICE_UPGRADE.
   */
  start(file: string, flags: readonly string[]): Result<number> {
    if (this.#pid !== null) return refuse(refusal(`process ${this.#pid} is about to take over already`));
    const command = [program, "run", "--upgrade", "-c", file, "--instance", this.#instance.name, ...flags];
    this.#pid = background(command, (code) => {
      this.#pid = null;
      this.#ended(code);
    });
    return this.#pid === null ? refuse(refusal(`${program} cannot be started`)) : ok(this.#pid);
  }
}

const refusal = (message: string): Problem => ({
  code: "SLUICE_UPGRADE",
  severity: "error",
  source: "internal",
  path: [],
  message,
});
