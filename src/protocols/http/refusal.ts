import type { Code } from "../../core/codes.ts";

/** Why a message is not read further. `status` is what the client is told: 4xx/5xx for requests, 502 for responses. */
export interface Refusal {
  readonly status: number;
  readonly code: Code;
  /** One clause for the log and the answer's body. */
  readonly why: string;
}

const all: Refusal[] = [];
/** Parsers answer with plain numbers: this one is negative and stands for the refusal. */
function refusal(status: number, code: Code, why: string): number {
  all.push({ status, code, why });
  return -all.length;
}

/** All that a message can be refused for. */
export const refusals: readonly Refusal[] = all;

/** The refusal behind a parser's negative answer. */
export const refusalOf = (answer: number): Refusal => all[-answer - 1]!;

/** A parser's answer when the bytes at hand are a good beginning. */
export const NEED_MORE = 0;

const bad = (why: string): number => refusal(400, "SLUICE_HTTP_BAD_REQUEST", why);
export const Refused = {
  LINE: bad("malformed request line"),
  VERSION: refusal(505, "SLUICE_HTTP_VERSION", "not HTTP/1.x"),
  METHOD_LONG: refusal(501, "SLUICE_HTTP_BAD_REQUEST", "method too long"),
  CONNECT: refusal(501, "SLUICE_HTTP_BAD_REQUEST", "CONNECT is not offered"),
  TRACE: refusal(501, "SLUICE_HTTP_BAD_REQUEST", "TRACE is not offered"),
  TARGET: bad("malformed request target"),
  PATH: bad("ambiguous path"),
  TARGET_LONG: refusal(414, "SLUICE_HTTP_TARGET_TOO_LONG", "request target too long"),
  HEAD_LARGE: refusal(431, "SLUICE_HTTP_HEAD_TOO_LARGE", "request head too large"),
  FIELD: bad("malformed header field"),
  HOST_MISSING: bad("no Host field"),
  HOST_TWICE: bad("more than one Host field"),
  HOST: bad("invalid Host"),
  LENGTH: bad("invalid Content-Length"),
  LENGTH_TWICE: bad("more than one Content-Length"),
  LENGTH_AND_CODING: bad("both Content-Length and Transfer-Encoding"),
  CODING: bad("invalid Transfer-Encoding"),
  CODING_UNKNOWN: refusal(501, "SLUICE_HTTP_BAD_REQUEST", "transfer coding not offered"),
  CODING_IN_10: bad("Transfer-Encoding in an HTTP/1.0 message"),
  CONNECTION: bad("malformed Connection field"),
  MAX_FORWARDS: bad("malformed Max-Forwards"),
  EXPECTATION: refusal(417, "SLUICE_HTTP_BAD_REQUEST", "unknown expectation"),
  LOOP: refusal(508, "SLUICE_HTTP_BAD_REQUEST", "the request has come through here too often"),
  CHUNK: bad("malformed chunked body"),
  BODY_LARGE: refusal(413, "SLUICE_HTTP_BODY_TOO_LARGE", "request body too large"),
} as const;

const broken = (why: string): number => refusal(502, "SLUICE_BACKEND_PROTOCOL", why);
export const Broken = {
  LINE: broken("malformed status line"),
  HEAD_LARGE: broken("response head too large"),
  FIELD: broken("malformed header field in the response"),
  LENGTH: broken("invalid Content-Length in the response"),
  LENGTH_AND_CODING: broken("both Content-Length and Transfer-Encoding in the response"),
  CODING: broken("transfer coding of the response not understood"),
  CONNECTION: broken("malformed Connection field in the response"),
  SWITCH: broken("101 that was not asked for"),
  INTERIM: broken("too many interim responses"),
  CHUNK: broken("malformed chunked body in the response"),
} as const;
