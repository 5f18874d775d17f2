import { type Agreed, agree, type Finding, type Version } from "./agree.ts";

/** Bounds and times of what is known of files. Times in ms. */
export interface BookRules {
  fresh: number;
  missing: number;
  files: number;
  probes: number;
}

/** How files are asked for. `hosts`: ids of the backends that may be asked now. */
export interface Prober {
  hosts(): number[];
  ask(id: number, path: string): Promise<Finding>;
  /** Null: there is no reference. */
  askReference(path: string): Promise<Finding> | null;
}

/** Files that may wait to be asked for; more are not. */
const MOST_WAITING = 1000;

/** Who has a file, as far as it is known. */
export class FileEntry implements Agreed {
  readonly path: string;
  readonly findings: ReadonlyMap<number, Finding>;
  readonly version: Version | null;
  readonly holders: number[];
  readonly missing: boolean;
  /** When it is to be asked again, ms. */
  readonly until: number;
  /** What hangs on the entry and a snapshot, made by who needs it. */
  made: { generation: number; without: ReadonlySet<number>; links: Map<number, string> } | null = null;

  constructor(path: string, findings: ReadonlyMap<number, Finding>, agreed: Agreed, until: number) {
    this.path = path;
    this.findings = findings;
    this.version = agreed.version;
    this.holders = agreed.holders;
    this.missing = agreed.missing;
    this.until = until;
  }
}

/** A file that is being asked for, and those who wait for it. */
interface Job {
  path: string;
  findings: Map<number, Finding>;
  reference: Finding | null;
  waiting: Set<Waiter>;
}

export interface Waiter {
  /** It is known who has the file, or that nobody has. */
  settled(entry: FileEntry): void;
}

/**
 * Which backends have which file: asked when a request names a file for the first time, and again, beside the traffic,
 * when that is old or other backends may be asked. What is remembered is bounded; what nobody has is remembered apart,
 * so that names that strangers make up push out no file that exists.
 */
export class FileBook {
  private readonly rules: BookRules;
  private readonly prober: Prober;
  private readonly now: () => number;
  /** In the order of use, the oldest first. */
  private readonly present = new Map<string, FileEntry>();
  private readonly absent = new Map<string, FileEntry>();
  private readonly jobs = new Map<string, Job>();
  private readonly line: Job[] = [];
  private running = 0;

  constructor(rules: BookRules, prober: Prober, now: () => number) {
    this.rules = rules;
    this.prober = prober;
    this.now = now;
  }

  get size(): number {
    return this.present.size + this.absent.size;
  }

  /** What is known of a file; asks again beside it when that is old. Null: nothing is. */
  look(path: string): FileEntry | null {
    const entry = this.present.get(path) ?? this.absent.get(path);
    if (entry === undefined) return null;
    if (entry.version !== null) {
      this.present.delete(path);
      this.present.set(path, entry);
    }
    if (entry.until < this.now()) {
      // Nobody is told that a file is missing for longer than was said.
      if (entry.version === null) {
        this.absent.delete(path);
        return null;
      }
      this.start(path);
    }
    return entry;
  }

  /** Asks for a file that is not known; `waiter` hears of it. False: too many wait already. */
  ask(path: string, waiter: Waiter): boolean {
    const job = this.start(path);
    job?.waiting.add(waiter);
    return job !== null;
  }

  /** A waiter waits no longer. @returns what has been found so far; null: nothing. */
  leave(path: string, waiter: Waiter): FileEntry | null {
    const job = this.jobs.get(path);
    if (job === undefined) return null;
    job.waiting.delete(waiter);
    const agreed = agree(job.findings, job.reference);
    return agreed.holders.length > 0 ? new FileEntry(path, new Map(job.findings), agreed, 0) : null;
  }

  /** Other backends may be asked now: what is known is old for those who were not. */
  recheck(path: string): void {
    this.start(path);
  }

  private start(path: string): Job | null {
    const there = this.jobs.get(path);
    if (there !== undefined) return there;
    if (this.line.length >= MOST_WAITING) return null;
    const job: Job = { path, findings: new Map(), reference: null, waiting: new Set() };
    this.jobs.set(path, job);
    if (this.running < this.rules.probes) this.run(job);
    else this.line.push(job);
    return job;
  }

  private run(job: Job): void {
    this.running++;
    this.probe(job)
      .catch(() => {})
      .then(() => {
        this.running--;
        this.settle(job);
        const next = this.line.shift();
        if (next !== undefined) this.run(next);
      });
  }

  /** The reference first: what it has not costs no backend a question. */
  private async probe(job: Job): Promise<void> {
    const { path, findings } = job;
    job.reference = await this.prober.askReference(path);
    if (job.reference === "missing") return;
    await Promise.all(
      this.prober.hosts().map(async (id) => {
        findings.set(id, await this.prober.ask(id, path));
      }),
    );
  }

  private settle(job: Job): void {
    const { path, findings, reference } = job;
    this.jobs.delete(path);
    const agreed = agree(findings, reference);
    const { fresh, missing } = this.rules;
    // Who said nothing may say more soon.
    const sure = agreed.holders.length > 0 && ![...findings.values(), reference].includes("silent");
    const until = this.now() + (sure ? fresh : Math.min(fresh, missing));
    // That nobody can be asked now is no reason to forget who had it.
    const before = agreed.version === null && !agreed.missing ? this.present.get(path) : undefined;
    const entry = new FileEntry(path, before?.findings ?? findings, before ?? agreed, until);
    this.present.delete(path);
    this.absent.delete(path);
    this.keep(entry.version === null ? this.absent : this.present, entry);
    for (const waiter of job.waiting) waiter.settled(entry);
  }

  private keep(among: Map<string, FileEntry>, entry: FileEntry): void {
    const most = among === this.present ? this.rules.files : Math.max(1, this.rules.files >> 3);
    for (const oldest of among.keys()) {
      if (among.size < most) break;
      among.delete(oldest);
    }
    among.set(entry.path, entry);
  }
}
