import { chmodSync, rmSync } from "node:fs";

/** A small HTTP server for our own API; traffic of services goes through `relay/`, never here. */
export interface ApiServer {
  stop(): void;
}

/** Serves `handle` on a unix socket that only its owner's group may use. Replaces a socket file that was left behind. */
export function serveUnix(path: string, handle: (request: Request) => Response | Promise<Response>): ApiServer {
  rmSync(path, { force: true });
  const server = Bun.serve({ unix: path, fetch: handle });
  chmodSync(path, 0o660);
  return { stop: () => void server.stop(true) };
}

/** Asks an API on a unix socket. Rejects when nobody listens. */
export const fetchUnix = (socket: string, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`http://localhost${path}`, { ...init, unix: socket } as RequestInit);
