import { z } from "zod";
import type { Code } from "../core/codes.ts";
import type { Service } from "../core/service.ts";

/** What stands under `accessLog:` of a service over HTTP. */
export const accessLog = z.strictObject({
  file: z
    .string()
    .regex(/^\//, "Write an absolute path, such as /var/log/sluice/access.log.")
    .describe("Where the lines go; a file, a FIFO or a device. Opened again on SIGUSR1."),
  format: z
    .enum(["json", "combined"])
    .default("json")
    .describe("json: one object a line; combined: as Apache and nginx write it."),
});

export type AccessLogOptions = z.output<typeof accessLog>;

/** The access log that a service asks for; null: none. */
export const accessLogOf = (service: Pick<Service, "options">): AccessLogOptions | null =>
  (service.options as { accessLog?: AccessLogOptions } | null)?.accessLog ?? null;

/** One request that is over. Texts are as the client sent them, octets as latin1. */
export interface Access {
  /** ms since 1970, when its head was whole. */
  at: number;
  /** ms until it was over. */
  took: number;
  service: string;
  client: string;
  method: string;
  target: string;
  /** 0 or 1: HTTP/1.minor. */
  minor: number;
  host: string;
  referer: string;
  agent: string;
  /** What the client was answered; 0: nothing. */
  status: number;
  /** Bytes of the answer, its head too. */
  bytes: number;
  /** Where it went; empty: nowhere. */
  backend: string;
  /** Sends to backends. */
  attempts: number;
  /** Why it ended in an error made here; empty: it did not. */
  reason: Code | "";
  /** ISO 3166-1 letters of where client and backend are, by methods that look; empty: not known. */
  country?: string;
  backendCountry?: string;
}

/** A line with its line feed. No octet of a request can end a line or forge a field. */
export function accessLine(access: Access, format: AccessLogOptions["format"]): string {
  return format === "json" ? jsonLine(access) : combinedLine(access);
}

/** Of those that JSON lets stand: DEL, and C1, which ends lines for some readers and steers terminals. */
const CONTROLS = /[\u007f-\u009f]/g;

function jsonLine({ at, took, ...rest }: Access): string {
  const line = JSON.stringify({ time: new Date(at).toISOString(), ms: Math.round(took * 1000) / 1000, ...rest });
  return `${line.replace(CONTROLS, (c) => `\\u00${c.charCodeAt(0).toString(16)}`)}\n`;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n: number): string => String(n).padStart(2, "0");

/** `10/Oct/2000:13:55:36 +0000`, made once a second. */
let second = -1;
let text = "";
function commonTime(at: number): string {
  const now = Math.floor(at / 1000);
  if (now !== second) {
    const d = new Date(now * 1000);
    second = now;
    text = `${two(d.getUTCDate())}/${months[d.getUTCMonth()]}/${d.getUTCFullYear()}:${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())} +0000`;
  }
  return text;
}

function combinedLine(a: Access): string {
  const line = a.method === "" ? "-" : `${escaped(a.method)} ${escaped(a.target)} HTTP/1.${a.minor}`;
  return `${a.client} - - [${commonTime(a.at)}] "${line}" ${a.status} ${a.bytes} "${escaped(a.referer) || "-"}" "${escaped(a.agent) || "-"}"\n`;
}

/** Quotes, backslashes, controls and octets beyond ASCII as \xHH, as nginx does. */
const escaped = (octets: string): string =>
  octets.replace(/[^ !#-[\]-~]/g, (c) => `\\x${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
