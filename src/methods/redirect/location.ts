import type { Backend } from "../../core/backend.ts";
import { BACKSLASH } from "../../protocols/http/octets.ts";

/**
 * The part of a Location that names a backend: its url without the last slash, or `scheme://address:port`. It always
 * holds scheme and authority, so that nothing a client sends can become either.
 */
export function locationBase(
  backend: Pick<Backend, "address" | "port" | "url">,
  scheme: "http" | "https",
  listenerPort: number,
): string {
  if (backend.url !== undefined) return backend.url.replace(/\/$/, "");
  const host = backend.address.includes(":") ? `[${backend.address}]` : backend.address;
  const port = backend.port ?? listenerPort;
  return port === (scheme === "http" ? 80 : 443) ? `${scheme}://${host}` : `${scheme}://${host}:${port}`;
}

/** Why a backend's url cannot begin a Location; null when it can. */
export function urlFault(url: string): string | null {
  if (!/^https?:\/\//i.test(url)) return "it does not begin with http:// or https://";
  if (!/^[!-~]+$/.test(url) || /["<>\\^`{|}]/.test(url)) return "it holds characters that a URL cannot";
  if (!URL.canParse(url)) return "it is not a URL";
  const { username, password } = new URL(url);
  if (username !== "" || password !== "") return "it holds user information";
  return /[?#]/.test(url) ? "it holds a query or a fragment" : null;
}

const DOT_SEGMENT = /(^|[/\\])(\.|%2e){2}($|[/\\?])/i;

/** Does a path, without a query, lead out of the folder that it is put behind? */
export const leavesFolder = (path: string): boolean => DOT_SEGMENT.test(path);

/**
 * May `bytes[start, end)` stand behind a base? It begins with `/` and holds no backslash (which browsers read as `/`).
 * `confined`: the base has a path, which `..` would leave.
 */
export function isSafePath(bytes: Buffer, start: number, end: number, confined: boolean): boolean {
  if (start < end && bytes[start] !== 47 && bytes[start] !== 63) return false;
  for (let i = start; i < end; i++) if (bytes[i] === BACKSLASH) return false;
  if (!confined) return true;
  const path = bytes.toString("latin1", start, end).split("?", 1)[0]!;
  return !leavesFolder(path);
}
