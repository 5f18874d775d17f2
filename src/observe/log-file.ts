import { close, constants, openSync, write } from "node:fs";

/** Bytes that wait for the disk at most; what comes beyond is dropped and counted. */
const MOST_WAITING = 1024 * 1024;
/** Lines are gathered for this long, ms. */
const GATHER = 100;
/** …or until there are this many bytes. */
const ENOUGH = 32 * 1024;

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
/** Never blocks: a FIFO that nobody reads refuses instead. Appends: several processes may share the file. */
export const LOG_FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK;
export const LOG_MODE = 0o640;

export interface LogFileEvents {
  /** Lines that were lost, and why. */
  dropped(lines: number, why: string): void;
}

/**
 * A file of lines that never holds its writer up: lines gather in memory, are written off the event loop, one write at
 * a time, and are dropped when the disk cannot follow.
 */
export class LogFile {
  readonly path: string;
  private fd = -1;
  private readonly events: LogFileEvents;
  private waiting: string[] = [];
  /** Characters that wait; a little less than their bytes. */
  private size = 0;
  private writing: Promise<void> | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;

  /** Throws what open(2) throws. */
  constructor(path: string, events: LogFileEvents) {
    this.path = path;
    this.events = events;
    this.fd = openSync(path, LOG_FLAGS, LOG_MODE);
  }

  /** Takes one line with its line feed. */
  push(line: string): void {
    if (this.size + line.length > MOST_WAITING) {
      this.events.dropped(1, "the disk cannot follow");
      return;
    }
    this.waiting.push(line);
    this.size += line.length;
    if (this.writing !== null) return;
    if (this.size >= ENOUGH) this.start();
    else this.timer ??= setTimeout(() => this.start(), GATHER);
  }

  /** Opens its path anew: the old file has been moved away. Stays with the old one when that fails. */
  reopen(): string | null {
    let fd: number;
    try {
      fd = openSync(this.path, LOG_FLAGS, LOG_MODE);
    } catch (error) {
      return String(error);
    }
    const old = this.fd;
    this.fd = fd;
    // A write under way still goes to the old file.
    void (this.writing ?? Promise.resolve()).then(() => close(old, () => {}));
    return null;
  }

  /** Writes what waits, then closes. */
  async end(): Promise<void> {
    this.start();
    while (this.writing !== null) {
      await this.writing;
      this.start();
    }
    close(this.fd, () => {});
  }

  private start(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.writing !== null || this.waiting.length === 0) return;
    const lines = this.waiting;
    this.waiting = [];
    this.size = 0;
    this.writing = this.write(Buffer.from(lines.join("")), lines.length).then(() => {
      this.writing = null;
      if (this.waiting.length > 0) this.start();
    });
  }

  private write(bytes: Buffer, lines: number): Promise<void> {
    return new Promise((resolve) => {
      const next = (from: number): void =>
        write(this.fd, bytes, from, bytes.length - from, null, (error, written) => {
          if (error || written === 0) {
            const whole = bytes.subarray(0, from).toString().split("\n").length - 1;
            this.events.dropped(lines - whole, error ? error.message : "nothing was written");
            resolve();
          } else if (from + written < bytes.length) next(from + written);
          else resolve();
        });
      next(0);
    });
  }
}
