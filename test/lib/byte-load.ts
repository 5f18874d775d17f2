/** Requests whose every byte is checked: over kept connections, over one each, and over ones that wait in a queue first. */

const PATTERN = Buffer.from(Array.from({ length: 40_000 }, (_, i) => 33 + ((i * 7919 + (i >> 7)) % 90)));

/** The body of `/N`: 0 to 20,000 octets that differ from those of other numbers. */
export function bodyOf(n: number): Buffer {
  const from = (n * 31) % 20_000;
  return PATTERN.subarray(from, from + ((n * 7919) % 20_000));
}

/** Serves `/N` with its body, and nothing else. */
export function startByteServer(): { port: number; stop(): void } {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => new Response(bodyOf(Number(url.slice(url.lastIndexOf("/") + 1)))),
  });
  return { port: server.port!, stop: () => void server.stop(true) };
}

/** ms that a late client says nothing: shorter than the kernel keeps its connection back for want of a word. */
const LATE = 300;

interface Exchange {
  /** -1: nothing is under way. */
  n: number;
  got: Buffer;
  /** Offset of the body in `got`; 0: the head is not whole. */
  body: number;
  length: number;
  over(): void;
}

/** Clients that ask as fast as they are answered, until they are stopped. */
export class ByteLoad {
  requests = 0;
  readonly failures: string[] = [];
  private going = true;
  private readonly port: number;
  private readonly all: Promise<unknown>;

  /**
   * `kept`: clients that keep their connection as long as they may; `single`: a connection for each request; `late`: the
   * same, but the request comes a while after the connection, which waits to be accepted until then.
   */
  constructor(port: number, kept: number, single: number, late = 0) {
    this.port = port;
    const run = async (keep: boolean, after: number): Promise<void> => {
      while (this.going) await this.connection(keep, after);
    };
    const many = (count: number, keep: boolean, after = 0) => Array.from({ length: count }, () => run(keep, after));
    this.all = Promise.all([...many(kept, true), ...many(single, false), ...many(late, false, LATE)]);
  }

  /** Lets what is under way end. */
  async stop(): Promise<void> {
    this.going = false;
    await this.all;
  }

  private connection(keep: boolean, after: number): Promise<void> {
    return new Promise((resolve) => {
      const exchange: Exchange = { n: -1, got: Buffer.alloc(0), body: 0, length: 0, over: resolve };
      const ask = (socket: Bun.Socket<Exchange>): void => {
        Object.assign(exchange, { n: this.requests++, got: Buffer.alloc(0), body: 0 });
        const close = keep ? "" : "Connection: close\r\n";
        socket.write(`GET /${exchange.n} HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
      };
      Bun.connect<Exchange>({
        hostname: "127.0.0.1",
        port: this.port,
        data: exchange,
        socket: {
          open: (socket) => {
            exchange.n = 0;
            if (after === 0) ask(socket);
            else setTimeout(() => exchange.n >= 0 && ask(socket), after);
          },
          data: (socket, chunk) => {
            const verdict = this.read(exchange, chunk);
            if (verdict === null) return;
            exchange.n = -1;
            if (verdict === "again" && keep && this.going) ask(socket);
            else socket.end();
          },
          close: () => {
            if (exchange.n >= 0) this.failures.push(`/${exchange.n}: cut after ${exchange.got.length} bytes`);
            exchange.n = -1;
            resolve();
          },
        },
      }).catch(async (error) => {
        this.failures.push(`not connected: ${error.code}`);
        await Bun.sleep(5);
        resolve();
      });
    });
  }

  /** Null: there is more to come. `last`: the server closes. What is wrong becomes a failure. */
  private read(exchange: Exchange, chunk: Buffer): "again" | "last" | null {
    exchange.got = exchange.got.length === 0 ? Buffer.from(chunk) : Buffer.concat([exchange.got, chunk]);
    const { got, n } = exchange;
    if (exchange.body === 0) {
      const end = got.indexOf("\r\n\r\n");
      if (end < 0) return null;
      exchange.body = end + 4;
      exchange.length = Number(/^content-length: (\d+)\r?$/im.exec(got.toString("latin1", 0, end))?.[1] ?? 0);
    }
    const { body, length } = exchange;
    if (got.length < body + length) return null;
    const head = got.toString("latin1", 0, body);
    if (!head.startsWith("HTTP/1.1 200 ") || !got.subarray(body).equals(bodyOf(n)))
      this.failures.push(`/${n}: ${head.slice(0, 12)}, ${got.length - body} bytes in place of ${bodyOf(n).length}`);
    return /^connection: close\r$/im.test(head) ? "last" : "again";
  }
}
