import {
  type Assignment,
  CHANNEL_END_FD,
  CHANNEL_FD,
  COUNTER_FD,
  type FromWorker,
  type ToWorker,
} from "../core/worker-protocol.ts";
import { type Child, spawnChild } from "../runtime/child.ts";
import { descriptorChannel, sendDescriptors } from "../runtime/descriptors.ts";
import { closeFd } from "../runtime/listen.ts";

/** Bodies of 16 KiB that come and go cost a worker a tenth less so than when their memory is given back at once; ms. */
const KEEPS_MEMORY = 10_000;

/** Who hears what a worker process says, and of its end. */
export interface WorkerEars {
  message(message: FromWorker): void;
  exit(code: number | null, signal: string | null): void;
}

/** A worker process that has no assignment yet. */
export class BlankWorker {
  readonly child: Child<ToWorker>;
  readonly methods: readonly string[];
  /** Its files are read: it could serve at once. False: it ended before that. */
  readonly loaded: Promise<boolean>;
  /** Our end of the channel for sockets and sessions; -1: closed. Once employed it is the employer's to close. */
  channel: number;
  #employed = false;
  #ears: WorkerEars;
  /** It has ended, so. */
  #end: [code: number | null, signal: string | null] | null = null;

  /** Starts it. `memory`: the counter memory's descriptor. */
  constructor(methods: readonly string[], memory: number, ears: WorkerEars) {
    this.methods = methods;
    this.#ears = ears;
    const [ours, theirs] = descriptorChannel();
    this.channel = ours;
    const fds: number[] = [];
    fds[COUNTER_FD - FIRST] = memory;
    fds[CHANNEL_FD - FIRST] = theirs;
    fds[CHANNEL_END_FD - FIRST] = ours;
    const loaded = Promise.withResolvers<boolean>();
    this.loaded = loaded.promise;
    this.child = spawnChild<ToWorker, FromWorker>({
      program: new URL("../worker/main.ts", import.meta.url).pathname,
      args: methods,
      fds,
      unprivileged: true,
      keepsMemory: KEEPS_MEMORY,
      hot: true,
      onMessage: (message) => (message.kind === "loaded" ? loaded.resolve(true) : this.#ears.message(message)),
      onExit: (code, signal) => {
        loaded.resolve(false);
        this.#end = [code, signal];
        if (!this.#employed) {
          closeFd(ours);
          this.channel = -1;
        }
        this.#ears.exit(code, signal);
      },
    });
    closeFd(theirs);
  }

  /** Gives it work, once: `fds` are our descriptors of the assignment's sockets. */
  employ(assignment: Assignment, fds: readonly number[], ears: WorkerEars): Child<ToWorker> {
    this.#ears = ears;
    if (this.#end !== null) {
      queueMicrotask(() => ears.exit(...this.#end!));
      return this.child;
    }
    this.#employed = true;
    // A worker that has just died takes none: whoever hears of its end knows what to do.
    sendDescriptors(this.channel, fds);
    this.child.send({ kind: "assign", assignment });
    return this.child;
  }

  /** It is not needed. */
  dismiss(): void {
    this.#ears = deaf;
    this.child.kill("SIGKILL");
  }
}

/** The first descriptor that a child is given. */
const FIRST = 3;

const deaf: WorkerEars = { message() {}, exit() {} };

/** ms without a worker's start until the next spare is made: what goes on after a death or a reload comes first. */
const QUIET = 1000;
/** A spare that dies while it waits is made anew after twice as long as the last one, at most this, ms. */
const LONGEST = 60_000;

/**
 * One worker process that waits beside those that serve: its files are read, so it takes a dead one's place in some
 * milliseconds instead of the time that a start takes. It is made when nothing else goes on.
 */
export class Spare {
  readonly #memory: number;
  #methods: readonly string[] = [];
  #waiting: BlankWorker | null = null;
  #loaded = false;
  #timer: Timer | null = null;
  #after = QUIET;

  /** `memory`: the counter memory's descriptor. */
  constructor(memory: number) {
    this.#memory = memory;
  }

  /** Is one there that could serve at once? */
  get ready(): boolean {
    return this.#loaded;
  }

  /** From now on one waits that can serve these methods. */
  keep(methods: readonly string[]): void {
    this.#methods = methods;
    if (this.#waiting !== null && !canServe(this.#waiting, methods)) this.#release()!.dismiss();
    this.#later();
  }

  /** A worker process for these methods: the one that waits, or one that starts now. */
  take(methods: readonly string[]): BlankWorker {
    const blank =
      this.#waiting !== null && canServe(this.#waiting, methods)
        ? this.#release()!
        : new BlankWorker(methods, this.#memory, deaf);
    this.#after = QUIET;
    this.#later();
    return blank;
  }

  stop(): void {
    this.keep([]);
  }

  #release(): BlankWorker | null {
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#loaded = false;
    return waiting;
  }

  #later(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting === null && this.#methods.length > 0) this.#timer = setTimeout(() => this.#make(), this.#after);
  }

  #make(): void {
    this.#timer = null;
    const exit = (): void => {
      this.#release();
      this.#after = Math.min(this.#after * 2, LONGEST);
      this.#later();
    };
    const blank = new BlankWorker(this.#methods, this.#memory, { message() {}, exit });
    this.#waiting = blank;
    void blank.loaded.then((loaded) => {
      if (this.#waiting === blank) this.#loaded = loaded;
    });
  }
}

/** Has it read the files of these methods? */
export const canServe = (blank: BlankWorker, methods: readonly string[]): boolean =>
  methods.length > 0 && methods.every((name) => blank.methods.includes(name));
