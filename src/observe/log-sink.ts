import { close, constants, fstatSync, openSync, write } from "node:fs";

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
/** Never blocks: a FIFO that nobody reads refuses instead. Appends: several processes may share the file. */
export const LOG_FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK;
export const LOG_MODE = 0o640;

/** What a FIFO takes whole or not at all (pipe(7)): lines of several processes are not mixed up. */
const PIPE_BUF = 4096;

const FEED = 10;
const LINE_FEED = Buffer.from("\n");

/** What came of one write: `fault` is an errno's name; null: none. */
export interface Written {
  bytes: number;
  fault: string | null;
}

/** An open file of lines, or a FIFO. */
export class LogSink {
  private readonly fd: number;
  private readonly fifo: boolean;
  /** It ends inside a line, of which no more will come. */
  private torn = false;

  /** Throws what open(2) throws: ENXIO for a FIFO that nobody reads. */
  constructor(path: string) {
    this.fd = openSync(path, LOG_FLAGS, LOG_MODE);
    this.fifo = fstatSync(this.fd).isFIFO();
  }

  /** Writes once, off the event loop, some of `lines[at, …)`; to a FIFO not more than it takes whole. Never rejects. */
  write(lines: Buffer, at: number): Promise<Written> {
    const piece = lines.subarray(at, this.fifo ? pieceEnd(lines, at) : lines.length);
    const lead = this.torn ? 1 : 0;
    const bytes = lead === 0 ? piece : Buffer.concat([LINE_FEED, piece]);
    return new Promise((resolve) =>
      write(this.fd, bytes, 0, bytes.length, null, (error, taken = 0) => {
        if (taken > 0) this.torn = false;
        const fault = error ? codeOf(error) : taken === 0 ? "nothing was written" : null;
        resolve({ bytes: Math.max(0, taken - lead), fault });
      }),
    );
  }

  /** The line that was begun is lost: what is written next does not continue it. */
  tear(): void {
    this.torn = true;
  }

  close(): void {
    close(this.fd, () => {});
  }
}

/** An errno's name, or whatever a failure says of itself. */
export const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error);

/** Behind the last line feed within PIPE_BUF; a line that is longer than that, alone. */
function pieceEnd(lines: Buffer, at: number): number {
  const last = lines.lastIndexOf(FEED, at + PIPE_BUF - 1);
  return last >= at ? last + 1 : lines.indexOf(FEED, at) + 1;
}
