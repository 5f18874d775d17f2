/** One HTTP/1.1 GET on a connection of its own. */

export interface Reply {
  status: number;
  /** The server's name, from `x-backend`. */
  backend: string | null;
  location: string | null;
  body: string;
}

export interface GetOptions {
  address: string;
  port: number;
  host: string;
  path: string;
  /** ms for everything. */
  timeout: number;
}

/** Rejects with `refused`, `timeout`, `closed early` or `malformed`; a body shorter than announced is `closed early`. */
export function get({ address, port, host, path, timeout }: GetOptions): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const chunks: Buffer[] = [];
  const state = { socket: null as Bun.Socket | null };
  const timer = setTimeout(() => end(() => reject(new Error("timeout"))), timeout);
  const end = (settle: () => void) => {
    clearTimeout(timer);
    settle();
    state.socket?.terminate();
  };
  const judge = (closed: boolean) => {
    const reply = parseReply(Buffer.concat(chunks).toString("latin1"), closed);
    if (reply) end(() => resolve(reply));
    else if (closed) end(() => reject(new Error("closed early")));
  };
  Bun.connect({
    hostname: address,
    port,
    socket: {
      open(socket) {
        state.socket = socket;
        socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nUser-Agent: sluice-lab\r\n\r\n`);
      },
      data(_socket, data) {
        chunks.push(data);
        judge(false);
      },
      close: () => judge(true),
      error: () => judge(true),
    },
  }).catch(() => end(() => reject(new Error("refused"))));
  return promise;
}

/** Null while it is not whole. Bodies by Content-Length or, once `closed`, to the end; chunked ones are not decoded. */
function parseReply(text: string, closed: boolean): Reply | null {
  const split = text.indexOf("\r\n\r\n");
  if (split < 0) return null;
  const [first = "", ...fields] = text.slice(0, split).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0);
  const field = (name: string): string | null => {
    const line = fields.find((f) => f.toLowerCase().startsWith(`${name}:`));
    return line ? line.slice(name.length + 1).trim() : null;
  };
  const body = text.slice(split + 4);
  const length = field("content-length");
  const chunked = field("transfer-encoding") !== null;
  const whole = chunked ? body.endsWith("0\r\n\r\n") : length !== null ? body.length >= Number(length) : closed;
  return whole ? { status, backend: field("x-backend"), location: field("location"), body } : null;
}
