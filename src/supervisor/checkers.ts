import { isDeepStrictEqual } from "node:util";
import type { Verdict } from "../core/check.ts";
import type { FromChecker, ProbeJob, ToChecker } from "../core/worker-protocol.ts";
import { type Child, spawnChild } from "../runtime/child.ts";

/** Where probes of a kind start from: the host's network, or a private one joined to the data plane. */
export type Standpoint = "host" | "vip";

const RESTART_AFTER = 500;

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
 * started when there is work for it, replaced when it dies.
 */
export class Checkers {
  readonly #children = new Map<Standpoint, { child: Child<ToChecker>; jobs: ProbeJob[]; ready: boolean }>();
  readonly #verdict: (key: string, verdict: Verdict) => void;
  readonly #join: (pid: number) => Promise<void>;
  #stopped = false;

  /** `join` connects the private network of a new VIP checker to the data plane; when it throws, it is tried again. */
  constructor(verdict: (key: string, verdict: Verdict) => void, join: (pid: number) => Promise<void>) {
    this.#verdict = verdict;
    this.#join = join;
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
        if (message.kind === "verdicts") for (const [key, verdict] of message.verdicts) this.#verdict(key, verdict);
        else if (message.kind === "ready") void this.#ready(standpoint);
      },
      onExit: () => this.#died(standpoint),
    });
    this.#children.set(standpoint, { child, jobs, ready: false });
  }

  /** The child runs, in its own network if it has one: only now can that network be joined. */
  async #ready(standpoint: Standpoint): Promise<void> {
    const running = this.#children.get(standpoint);
    if (!running) return;
    try {
      if (standpoint === "vip") await this.#join(running.child.pid);
    } catch {
      // The join has said why. A new child, in a moment, is a new try.
      running.child.kill("SIGKILL");
      return;
    }
    running.ready = true;
    running.child.send({ kind: "jobs", jobs: running.jobs });
  }

  #died(standpoint: Standpoint): void {
    const jobs = this.#children.get(standpoint)?.jobs ?? [];
    this.#children.delete(standpoint);
    if (this.#stopped || jobs.length === 0) return;
    setTimeout(() => {
      if (!this.#stopped && !this.#children.has(standpoint)) this.#start(standpoint, jobs);
    }, RESTART_AFTER);
  }

  stop(): void {
    this.#stopped = true;
    for (const { child } of this.#children.values()) child.kill("SIGKILL");
  }
}
