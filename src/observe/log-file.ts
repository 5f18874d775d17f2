import { now, sleep } from "../runtime/clock.ts";
import { codeOf, LogSink } from "./log-sink.ts";

/** Bytes that wait for the disk at most; what comes beyond is dropped and counted. */
const MOST_WAITING = 1024 * 1024;
/** Lines are gathered for this long, ms. */
const GATHER = 100;
/** …or until there are this many bytes. */
const ENOUGH = 32 * 1024;
/** ms until a FIFO that took nothing is tried again; twice as long each time. */
const SOON = 5;
const LATE = 100;
/** How long a FIFO that takes nothing holds up the end, ms. */
const LAST_CHANCE = 500;

const FEED = 10;

const SLOW = "the disk cannot follow";
const NO_READER = "ENXIO";
/** Of a FIFO: its reader may go on, or another may come. */
const passing: Record<string, string> = {
  EAGAIN: "its reader cannot follow",
  EPIPE: "nobody reads it",
  [NO_READER]: "nobody reads it",
};

export interface LogFileEvents {
  /** Lines that were lost, and why. */
  dropped(lines: number, why: string): void;
}

/**
 * A file of lines that never holds its writer up: lines gather in memory, are written off the event loop, one write at
 * a time, and are dropped when the disk cannot follow. For the reader of a FIFO they wait, as long as there is room.
 */
export class LogFile {
  readonly path: string;
  private readonly events: LogFileEvents;
  /** Null: there is none; `fault` says why. */
  private sink: LogSink | null = null;
  private fault = "";
  private waiting: string[] = [];
  /** Characters that wait; a little less than their bytes. */
  private size = 0;
  private writing: Promise<void> | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  /** Why lines wait. */
  private trouble = SLOW;
  /** Until when they may, by the monotonic clock; ms. */
  private until = Number.POSITIVE_INFINITY;

  constructor(path: string, events: LogFileEvents) {
    this.path = path;
    this.events = events;
  }

  /** Takes one line with its line feed. */
  push(line: string): void {
    if (this.size + line.length > MOST_WAITING) {
      this.events.dropped(1, this.trouble);
      return;
    }
    this.waiting.push(line);
    this.size += line.length;
    if (this.writing !== null) return;
    if (this.size >= ENOUGH) this.start();
    else this.timer ??= setTimeout(() => this.start(), GATHER);
  }

  /**
   * Opens its path, perhaps anew: the old file has been moved away. Stays with the old one when that fails, and says why;
   * where there is none the path is tried again for each piece that waits. A FIFO without a reader is no failure.
   */
  open(): string | null {
    const old = this.sink;
    let failed: unknown = null;
    try {
      this.sink = new LogSink(this.path);
    } catch (error) {
      this.fault = codeOf(error);
      if (this.fault !== NO_READER) failed = error;
      else this.sink = null;
    }
    // A line that is begun still goes to the old file.
    if (old !== this.sink) void (this.writing ?? Promise.resolve()).then(() => old?.close());
    return failed === null ? null : String(failed);
  }

  /** Writes what waits, then closes. */
  async end(): Promise<void> {
    this.until = now() + LAST_CHANCE;
    this.start();
    while (this.writing !== null) {
      await this.writing;
      this.start();
    }
    this.sink?.close();
    this.sink = null;
  }

  private start(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.writing !== null || this.waiting.length === 0) return;
    const lines = Buffer.from(this.waiting.join(""));
    this.waiting = [];
    this.size = 0;
    this.writing = this.deliver(lines).then(() => {
      this.writing = null;
      if (this.waiting.length > 0) this.start();
    });
  }

  /** Resolves when all are written, or lost and counted. */
  private async deliver(lines: Buffer): Promise<void> {
    let { sink } = this;
    let pause = SOON;
    for (let at = 0; at < lines.length; ) {
      // A line stays in one file.
      if (at === 0 || lines[at - 1] === FEED) sink = this.there();
      const { bytes, fault } = (await sink?.write(lines, at)) ?? { bytes: 0, fault: this.fault };
      at += bytes;
      if (fault === null) {
        pause = SOON;
        this.trouble = SLOW;
        continue;
      }
      const why = passing[fault];
      this.trouble = why ?? fault;
      if (why === undefined || now() >= this.until) {
        if (at > 0 && lines[at - 1] !== FEED) sink?.tear();
        this.events.dropped(countLines(lines, at), this.trouble);
        return;
      }
      await sleep(pause);
      pause = Math.min(LATE, 2 * pause);
    }
  }

  private there(): LogSink | null {
    if (this.sink === null) this.open();
    return this.sink;
  }
}

function countLines(lines: Buffer, from: number): number {
  let count = 0;
  for (let at = lines.indexOf(FEED, from); at >= 0; at = lines.indexOf(FEED, at + 1)) count++;
  return count;
}
