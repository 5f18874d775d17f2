import type { Code } from "../core/codes.ts";
import type { ConnectFailure } from "../runtime/tcp.ts";

/** What a connection to a backend that does not come about is called. */
export const connectCodes: Record<ConnectFailure, Code> = {
  refused: "SLUICE_BACKEND_CONNECT",
  unreachable: "SLUICE_BACKEND_CONNECT",
  timeout: "SLUICE_BACKEND_CONNECT_TIMEOUT",
  local: "SLUICE_HTTP_CONNECTION_LIMIT",
};

/** Is it this host or this program that failed, and not the backend? */
export const isOurs = (code: Code): boolean => code === "SLUICE_HTTP_CONNECTION_LIMIT" || code === "SLUICE_INTERNAL";

/** The status that a client gets whose request came to nothing like that. */
export function statusOf(code: Code): number {
  if (code === "SLUICE_INTERNAL") return 500;
  if (code === "SLUICE_HTTP_CONNECTION_LIMIT") return 503;
  return code.endsWith("TIMEOUT") ? 504 : 502;
}
