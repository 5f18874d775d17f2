import { chmodSync, rmSync } from "node:fs";

/** A small HTTP server for our own API; traffic of services goes through `relay/`, never here. */
export interface ApiServer {
  stop(): void;
}

/** Bytes of a request's body at most: ours are a few words. */
const MOST_BODY = 1 << 20;

/** Serves `handle` on a unix socket that only its owner's group may use. Replaces a socket file that was left behind. */
export function serveUnix(path: string, handle: (request: Request) => Response | Promise<Response>): ApiServer {
  rmSync(path, { force: true });
  // Bun ends after ten seconds what is silent: a reload that waits for checks, events that are followed.
  const options = { unix: path, fetch: handle, idleTimeout: 0, maxRequestBodySize: MOST_BODY };
  // Typed as if a unix socket had no time-outs (Bun 1.4.5).
  const server = Bun.serve(options as unknown as Bun.Serve.Options<undefined>);
  chmodSync(path, 0o660);
  return { stop: () => void server.stop(true) };
}

/** `timeout` false: wait for ever. Bun ends after five minutes what is silent. */
export type Question = RequestInit & { timeout?: false };

/** Asks an API on a unix socket. Rejects when nobody listens. */
export const fetchUnix = (socket: string, path: string, init: Question = {}): Promise<Response> =>
  fetch(`http://localhost${path}`, { ...init, unix: socket } as RequestInit);
