import { isDeepStrictEqual } from "node:util";
import type { Verdict } from "../core/check.ts";
import { CHECKER_BEAT, type FromChecker, type ProbeJob, type ToChecker } from "../core/worker-protocol.ts";
import { type Child, spawnChild } from "../runtime/child.ts";

/** Where probes of a kind start from: the host's network, or a private one joined to the data plane. */
export type Standpoint = "host" | "vip";

const RESTART_AFTER = 500;
/** Signs of life that may stay out in a row: a machine with very much to do is slow to let a checker speak. */
const PATIENCE = 15;

export interface CheckerDoors {
  verdict(key: string, verdict: Verdict): void;
  /** Connects the private network of a new VIP checker to the data plane; when it throws, it is tried again. */
  join(pid: number): Promise<void>;
  /** A checker has died or hangs; another takes its place if there is work. */
  lost(pid: number, what: "died" | "silent", detail: string): void;
}

interface Running {
  child: Child<ToChecker>;
  jobs: ProbeJob[];
  ready: boolean;
  /** Beats of ours since it was heard last: not time, for we too may have been stopped. */
  silent: number;
  watch: ReturnType<typeof setInterval>;
  /** Its network could not be joined, which was told. */
  refused: boolean;
}

const alike = (a: readonly ProbeJob[], b: readonly ProbeJob[]): boolean =>
  a.length === b.length && a.every((job, i) => sameJob(job, b[i]!));

const sameJob = (a: ProbeJob, b: ProbeJob): boolean =>
  a.key === b.key &&
  (a.check === b.check || isDeepStrictEqual(a.check, b.check)) &&
  a.target.address === b.target.address &&
  a.target.port === b.target.port &&
  isDeepStrictEqual(a.target.source, b.target.source);

/**
 * The checker children: backends' bytes are strangers' bytes, so probes run without rights. One child per standpoint,
 * started when there is work for it, replaced when it dies or hangs.
 */
export class Checkers {
  readonly #children = new Map<Standpoint, Running>();
  readonly #doors: CheckerDoors;
  readonly #patience: number;
  #stopped = false;

  /** `patience`: signs of life (one each `CHECKER_BEAT`) that may stay out before a checker is taken to hang. */
  constructor(doors: CheckerDoors, patience = PATIENCE) {
    this.#doors = doors;
    this.#patience = patience;
  }

  /** Replaces the jobs of a standpoint; those that stay keep their phase. */
  assign(standpoint: Standpoint, jobs: ProbeJob[]): void {
    const running = this.#children.get(standpoint);
    if (running) {
      // Twenty thousand jobs are some megabytes, which the child would compare one by one.
      if (alike(running.jobs, jobs)) return;
      running.jobs = jobs;
      if (running.ready) running.child.send({ kind: "jobs", jobs });
    } else if (jobs.length > 0) this.#start(standpoint, jobs);
  }

  #start(standpoint: Standpoint, jobs: ProbeJob[]): void {
    const child = spawnChild<ToChecker, FromChecker>({
      program: new URL("../checks/checker/main.ts", import.meta.url).pathname,
      unprivileged: true,
      privateNetwork: standpoint === "vip",
      onMessage: (message) => {
        const running = this.#children.get(standpoint);
        if (running) running.silent = 0;
        if (message.kind === "verdicts")
          for (const [key, verdict] of message.verdicts) this.#doors.verdict(key, verdict);
        else if (message.kind === "ready") void this.#ready(standpoint);
      },
      onExit: (code, signal) => this.#died(standpoint, signal ?? `code ${code}`),
    });
    const watch = setInterval(() => this.#look(standpoint), CHECKER_BEAT);
    watch.unref();
    this.#children.set(standpoint, { child, jobs, ready: false, silent: 0, watch, refused: false });
  }

  #look(standpoint: Standpoint): void {
    const running = this.#children.get(standpoint);
    if (running && ++running.silent > this.#patience) running.child.kill("SIGKILL");
  }

  /** The child runs, in its own network if it has one: only now can that network be joined. */
  async #ready(standpoint: Standpoint): Promise<void> {
    const running = this.#children.get(standpoint);
    if (!running) return;
    try {
      if (standpoint === "vip") await this.#doors.join(running.child.pid);
    } catch {
      // The join has said why. A new child, in a moment, is a new try.
      running.refused = true;
      running.child.kill("SIGKILL");
      return;
    }
    running.ready = true;
    running.child.send({ kind: "jobs", jobs: running.jobs });
  }

  #died(standpoint: Standpoint, how: string): void {
    const { child, jobs, silent, watch, refused } = this.#children.get(standpoint)!;
    clearInterval(watch);
    this.#children.delete(standpoint);
    if (this.#stopped) return;
    const beats = (this.#patience * CHECKER_BEAT) / 1000;
    if (silent > this.#patience) this.#doors.lost(child.pid, "silent", `no sign of life for ${beats} s`);
    else if (!refused) this.#doors.lost(child.pid, "died", how);
    if (jobs.length === 0) return;
    setTimeout(() => {
      if (!this.#stopped && !this.#children.has(standpoint)) this.#start(standpoint, jobs);
    }, RESTART_AFTER);
  }

  stop(): void {
    this.#stopped = true;
    for (const { child, watch } of this.#children.values()) {
      clearInterval(watch);
      child.kill("SIGKILL");
    }
  }
}
