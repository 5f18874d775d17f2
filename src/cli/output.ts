import { once } from "node:events";
import { readerGone } from "../runtime/reader.ts";
import { EXIT } from "./exit.ts";

const { stdout } = process;

/** Writes text to standard output, no faster than it is read; what is awaited has left even before `process.exit`. */
export async function put(text: string | Uint8Array): Promise<void> {
  if (!stdout.write(text)) await once(stdout, "drain");
}

/** `put` with a line feed. Not `console.log`: it would go on for ever when who reads has left. */
export const print = (line: string): Promise<void> => put(`${line}\n`);

/** Writes a body to standard output as it comes: of very many backends it is large. */
export async function pour(body: AsyncIterable<Uint8Array | string>): Promise<void> {
  for await (const part of body) await put(part);
}

/** Ends the process without a word where nobody reads any more (`| head`), and with a sentence where output has no room. */
export function endWithOutput(): void {
  stdout.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    if (code === "EPIPE") process.exit(EXIT.unread);
    console.error(`error: standard output cannot be written: ${message}`);
    process.exit(EXIT.config);
  });
}

/** ms between two looks whether somebody reads. */
const LOOK = 500;

/** As `endWithOutput`, where long nothing may be written: a reader who leaves is noticed meanwhile. `end`: what is to be done. */
export function endWithReader(end: () => void = () => process.exit(EXIT.unread)): void {
  setInterval(() => {
    if (readerGone(1)) end();
  }, LOOK).unref();
}
