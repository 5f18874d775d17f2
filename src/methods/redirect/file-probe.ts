import { exchange, failed, type Finding as ProbeFinding, type ProbeTls, passed } from "../../checks/exchange.ts";
import { type FieldBlock, fieldText } from "../../protocols/http/field-block.ts";
import { ascii } from "../../protocols/http/octets.ts";
import { parseResponse, ResponseHead } from "../../protocols/http/response.ts";
import type { Finding } from "./agree.ts";

/** Where a host is asked for files. */
export interface FileHost {
  address: string;
  port: number;
  /** For Host, and for the certificate of https. */
  host: string;
  /** What stands before a request's path; without a slash at its end. */
  path: string;
  tls: ProbeTls | null;
}

/** The host of a backend or reference: of its url, where it has one, reached at its own address. */
export function fileHost(
  { address, port, url }: { address: string; port: number | null; url?: string | undefined },
  scheme: "http" | "https",
  listenerPort: number,
): FileHost {
  const bracketed = address.includes(":") ? `[${address}]` : address;
  const base = new URL(url ?? `${scheme}://${bracketed}:${port ?? listenerPort}`);
  const secure = base.protocol === "https:";
  const usual = secure ? 443 : 80;
  return {
    address,
    port: port ?? (base.port === "" ? usual : Number(base.port)),
    host: base.host,
    path: base.pathname.replace(/\/$/, ""),
    tls: secure ? { name: base.hostname } : null,
  };
}

const LIMITS = { size: 64 * 1024, fields: 200 };
/** Of all heads together; bytes. */
const LONGEST = 2 * LIMITS.size;
/** A head that comes in more pieces is read no further: each costs a reading from the start. */
const MOST_READS = 100;
/** Responses (1xx) before the one that counts; the relay takes as many. */
const INTERIMS = 32;
const ASKED = { isHead: true };
const head = new ResponseHead(LIMITS);
const LAST_MODIFIED = ascii("last-modified");
const DIGESTS = [ascii("repr-digest"), ascii("digest")];

/** IMF-fixdate (RFC 9110 5.6.7) to s since 1970; null for anything else. */
function dateOf(text: string | null): number | null {
  if (text === null || !/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms / 1000;
}

/** SHA-256 in base64 of `sha-256=:…:` (RFC 9530) or `SHA-256=…` (RFC 3230); null for anything else. */
function digestOf(bytes: Buffer, fields: FieldBlock): string | null {
  for (const name of DIGESTS) {
    const found = /(?:^|[, ])sha-256=:?([A-Za-z0-9+/]{43}=)/i.exec(fieldText(bytes, fields, name) ?? "");
    if (found !== null) return found[1]!;
  }
  return null;
}

/** What the head at the start of `bytes` says of the file; null: it is not whole. */
export function readHead(bytes: Buffer): Finding | null {
  for (let at = 0, interims = 0; interims <= INTERIMS; interims++) {
    const end = parseResponse(bytes, at, bytes.length, LIMITS, ASKED, head);
    if (end === 0) return null;
    if (end < 0) return "silent";
    const { status, length, fields } = head;
    if (status === 404 || status === 410) return "missing";
    if (status === 200 && length >= 0) {
      const modified = dateOf(fieldText(bytes, fields, LAST_MODIFIED));
      return { size: length, modified, digest: digestOf(bytes, fields) };
    }
    if (status >= 200 || status === 101) return "silent";
    at = end;
  }
  return "silent";
}

/**
 * Asks a host by HEAD whether it has a file. `path` as a client sent it, already judged. Never throws; resolves within
 * `timeout` ms, whatever the host sends: a redirect, an error, a length that is not said and silence are all `silent`.
 */
export async function probeFile(host: FileHost, path: string, timeout: number): Promise<Finding> {
  let found: Finding | null = null;
  let bytes = Buffer.alloc(0);
  let reads = 0;
  const conversation = {
    request: ascii(
      `HEAD ${host.path}${path} HTTP/1.1\r\nHost: ${host.host}\r\nUser-Agent: sluice\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
    ),
    received(chunk: Buffer): ProbeFinding | null {
      bytes = Buffer.concat([bytes, chunk]);
      found = ++reads > MOST_READS || bytes.length > LONGEST ? "silent" : readHead(bytes);
      return found === null ? null : passed("");
    },
    ended: (): ProbeFinding => failed("SLUICE_CHECK_CLOSED", ""),
  };
  const { address, port, tls } = host;
  await exchange({ address, port }, conversation, timeout, tls ?? undefined);
  return found ?? "silent";
}
