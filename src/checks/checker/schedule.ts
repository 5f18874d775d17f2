import type { CheckDefinition, Verdict } from "../../core/check.ts";
import { hashText } from "../../core/hash.ts";
import type { ProbeJob } from "../../core/worker-protocol.ts";

export interface ScheduleDoors {
  checks: readonly CheckDefinition[];
  verdict(key: string, verdict: Verdict): void;
  /** Monotonic ms. */
  now(): number;
  /** Calls back after `ms`; returns how to give it up. */
  after(ms: number, call: () => void): () => void;
}

/** ms between the first probes of two new jobs; of very many less, so that all begin within `START_SPAN`. */
const START_STEP = 0.2;
/** ms */
const START_SPAN = 1000;
/** Of an interval: the second probe comes not sooner after the first, and within a whole interval more. */
const LEAST_SPREAD = 0.25;
/** Probes under way at a time; more wait their turn. Each holds a descriptor. */
const MOST_UNDER_WAY = 4096;

interface Running {
  job: ProbeJob;
  text: string;
  /** When the next probe is planned. */
  due: number;
  busy: boolean;
  stopped: boolean;
  cancel(): void;
}

/**
 * Runs the probes of many jobs: the first of each soon (its backend is down until then), the second after a quarter of
 * an interval up to five quarters, then one each interval, counted from start to start. The second has a place of its own,
 * so that jobs which began together spread evenly, and a start of very many is over before they come again. At most one
 * probe of a job is under way; a probe still under way when the next is due makes that one fall out.
 */
export class Schedule {
  readonly #doors: ScheduleDoors;
  readonly #checks: Map<string, CheckDefinition>;
  readonly #jobs = new Map<string, Running>();
  readonly #waiting: Running[] = [];
  #underWay = 0;

  constructor(doors: ScheduleDoors) {
    this.#doors = doors;
    this.#checks = new Map(doors.checks.map((check) => [check.name, check]));
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** The whole set. Jobs that are as they were keep their rhythm; a verdict of one that is gone is not told. */
  set(jobs: readonly ProbeJob[]): void {
    const wanted = new Map(jobs.map((job) => [job.key, job]));
    for (const [key, running] of this.#jobs) if (!wanted.has(key)) this.#stop(key, running);
    let fresh = 0;
    const step = Math.min(START_STEP, START_SPAN / wanted.size);
    for (const job of wanted.values()) {
      const text = JSON.stringify(job);
      const present = this.#jobs.get(job.key);
      if (present?.text === text) continue;
      if (present) this.#stop(job.key, present);
      this.#start(job, text, step * fresh++);
    }
  }

  #start(job: ProbeJob, text: string, delay: number): void {
    const running: Running = {
      job,
      text,
      due: this.#doors.now() + delay,
      busy: false,
      stopped: false,
      cancel: () => {},
    };
    this.#jobs.set(job.key, running);
    const spread = LEAST_SPREAD + hashText(job.key, 0) / 2 ** 32;
    this.#plan(running, running.due, () => {
      this.#plan(running, running.due + job.check.interval * spread, () => this.#beat(running));
      this.#probe(running);
    });
  }

  #stop(key: string, running: Running): void {
    running.stopped = true;
    running.cancel();
    this.#jobs.delete(key);
  }

  #plan(running: Running, due: number, call: () => void): void {
    running.due = due;
    running.cancel = this.#doors.after(Math.max(0, due - this.#doors.now()), call);
  }

  #beat(running: Running): void {
    const { interval } = running.job.check;
    // Late by more than an interval (a stopped machine): go on from now instead of making up for it.
    const next = Math.max(running.due + interval, this.#doors.now());
    this.#plan(running, next, () => this.#beat(running));
    this.#probe(running);
  }

  #probe(running: Running): void {
    if (running.busy) return;
    running.busy = true;
    if (this.#underWay >= MOST_UNDER_WAY) this.#waiting.push(running);
    else void this.#run(running);
  }

  async #run(running: Running): Promise<void> {
    const { job } = running;
    this.#underWay++;
    const verdict = await this.#verdictOf(job);
    this.#underWay--;
    running.busy = false;
    if (!running.stopped) this.#doors.verdict(job.key, verdict);
    let next = this.#waiting.shift();
    while (next?.stopped) next = this.#waiting.shift();
    if (next) void this.#run(next);
  }

  async #verdictOf({ check, target }: ProbeJob): Promise<Verdict> {
    const definition = this.#checks.get(check.kind);
    try {
      if (definition) return await definition.probe(target, check.options, check.timeout);
    } catch (error) {
      // A check that breaks its promise must not end the checker, nor take a backend down.
      return { passed: false, code: "SLUICE_CHECK_LOCAL", detail: `probe broke: ${String(error)}`, latency: null };
    }
    return { passed: false, code: "SLUICE_CHECK_LOCAL", detail: `no check named ${check.kind}`, latency: null };
  }
}
