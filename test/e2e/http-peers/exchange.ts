import { dial, type End, RawBackend } from "../../../src/relay/testing.ts";
import { readRequests, readResponses, readStatuses } from "./reading.ts";
import type { RequestCase } from "./requests.ts";
import type { ResponseCase } from "./responses.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** What one input came to at one proxy. */
export interface Outcome {
  client: string[];
  backend: string[];
}

/** A backend that takes whatever comes: it answers each head that it sees at once, and reads the rest as it likes. */
export class LenientBackend {
  /** What it does on a read; set for the case that is under way. */
  answer: (end: End, index: number) => void = () => {};
  readonly raw = new RawBackend((end, index) => this.answer(end, index - this.from));
  private from = 0;

  /** Forgets what was. */
  renew(): void {
    for (const end of this.raw.connections) end.stop();
    this.from = this.raw.connections.length;
  }
  get got(): string[] {
    return this.raw.connections.slice(this.from).map(({ got }) => got);
  }
}

/** Waits until nothing has come on either side for `quiet` ms, or the client's connection is over; at most `most` ms. */
async function settled(end: End, backend: LenientBackend, quiet: number, most: number): Promise<void> {
  let [seen, since] = ["", Date.now()];
  const began = since;
  while (Date.now() - began < most && Date.now() - since < quiet) {
    await Bun.sleep(20);
    const now = `${end.got.length} ${end.closed || end.ended} ${backend.got.map(({ length }) => length)}`;
    if (now !== seen) [seen, since] = [now, Date.now()];
  }
}

const heads = (text: string): number => text.match(/^[!-~]+ [!-~]+ HTTP\/1\.[01]\r$/gm)?.length ?? 0;

/** The answers that a lenient backend owes: one for each line that looks like a request's. */
function answerEach(end: End & { sent?: number }): void {
  if (!end.got.includes("\r\n\r\n")) return;
  for (end.sent ??= 0; end.sent < Math.min(heads(end.got), 4); end.sent++) end.send(OK);
}

/** Where a proxy is to be asked, and what stands behind it. */
export interface Way {
  backend: LenientBackend;
  address: string;
  port: number;
  /** ms without a byte after which an exchange is over. */
  quiet: number;
}

export async function askWith({ bytes }: RequestCase, { backend, address, port, quiet }: Way): Promise<Outcome> {
  backend.renew();
  backend.answer = answerEach;
  const end = dial(port, address).send(bytes);
  await settled(end, backend, quiet, 20 * quiet);
  const outcome = { client: [readStatuses(end.got, end.closed || end.ended)], backend: readRequests(backend.got) };
  end.stop();
  return outcome;
}

export async function answerWith(one: ResponseCase, { backend, address, port, quiet }: Way): Promise<Outcome> {
  const { bytes, method = "GET", end: ends } = one;
  backend.renew();
  backend.answer = (end, index) => {
    if (index === 0 && heads(end.got) === 1) {
      end.send(bytes);
      if (ends) end.socket!.shutdown();
    } else end.send("HTTP/1.1 200 Second\r\nContent-Length: 6\r\n\r\nsecond");
  };
  const end = dial(port, address).send(`${method} /first HTTP/1.1\r\nHost: a\r\n\r\n`);
  await settled(end, backend, quiet, 20 * quiet);
  const refused = end.got.startsWith("HTTP/1.1 502 ");
  if (!refused && !end.closed && !end.ended) {
    end.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    await settled(end, backend, quiet, 20 * quiet);
  }
  // The text of an error page is everybody's own, and whether the client may go on behind it.
  const client = refused ? ["502"] : readResponses(end.got, [method, "GET"], end.closed || end.ended);
  end.stop();
  return { client, backend: [] };
}
