import type { Code } from "../../core/codes.ts";
import { codes } from "../../core/codes.ts";
import { ascii } from "./octets.ts";

/** Reasons of the statuses that are answered here (RFC 9110 15). */
const reasons: Record<number, string> = {
  200: "OK",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  404: "Not Found",
  408: "Request Timeout",
  413: "Content Too Large",
  414: "URI Too Long",
  417: "Expectation Failed",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  508: "Loop Detected",
};

export const reasonOf = (status: number): string => reasons[status] ?? "";

/** An answer of our own. */
export interface Reply {
  status: number;
  /** `Date: …` with CR LF. */
  date: Buffer;
  close: boolean;
  /** The request was a HEAD: same fields, no body. */
  isHead: boolean;
  /** More field lines, each with CR LF. */
  fields?: string;
  body: string;
  /** Default: plain text. */
  type?: string;
}

/** The bytes of an answer of our own, head and body. */
export function toReply(reply: Reply): Buffer {
  const { status, date, close, isHead, fields = "", body, type = "text/plain; charset=utf-8" } = reply;
  const content = Buffer.from(body);
  const head = `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${date.toString("latin1")}Content-Type: ${type}\r\nContent-Length: ${content.length}\r\n${fields}${close ? "Connection: close\r\n" : ""}\r\n`;
  return isHead ? ascii(head) : Buffer.concat([ascii(head), content]);
}

/** The answer to a request that failed here: a reason code as a field (for HEAD too) and in the body. */
export function toErrorReply(code: Code, detail: string, reply: Omit<Reply, "fields" | "body">): Buffer {
  const body = `${code}: ${codes[code][0]}${detail === "" ? "" : ` (${detail})`}\n`;
  // What is lacking may be there again soon (RFC 9110 15.6.4, RFC 6585 4).
  const later = reply.status === 503 || reply.status === 429 ? "Retry-After: 1\r\n" : "";
  return toReply({ ...reply, fields: `Cache-Control: no-store\r\nSluice-Reason: ${code}\r\n${later}`, body });
}
