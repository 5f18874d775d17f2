import { ascii } from "../../../src/protocols/http/octets.ts";
import { NEED_MORE, refusalOf } from "../../../src/protocols/http/refusal.ts";
import { Method, parseRequest, RequestHead, type RequestLimits } from "../../../src/protocols/http/request.ts";
import { Form } from "../../../src/protocols/http/target.ts";
import { type RequestTail, writeRequest } from "../../../src/protocols/http/write.ts";
import { fieldLines, plainLines, words } from "./http-words.ts";
import { below, cuts, damage, eachInput, Fault, type FuzzTarget, oneOf, type Random } from "./target.ts";

const LIMITS: RequestLimits = { size: 1024, fields: 12, target: 128 };
const head = new RequestHead(LIMITS);
const again = new RequestHead({ fields: 64 });
const WIDE: RequestLimits = { size: 8192, fields: 64, target: 1024 };
const out = Buffer.alloc(16_384);
const tail: RequestTail = {
  lines: [ascii("Via: 1.0 s\r\n"), ascii("Via: 1.1 s\r\n")],
  address: ascii("192.0.2.1"),
  forwardedFor: ascii("X-Forwarded-For: 192.0.2.1\r\n"),
  trusted: false,
  element: Buffer.from("for=192.0.2.1;proto=http"),
  forwarded: true,
  host: ascii("127.0.0.1:80"),
};

function make(random: Random): Buffer {
  const method = oneOf(random, ["GET", "GET", "POST", "HEAD", "OPTIONS", "PUT", "CONNECT", "TRACE", "PURGE"]);
  const target = oneOf(random, ["/", "/a?b=c", "*", "http://h/p", "https://h:81?q", "h:443", `/${"a".repeat(140)}`]);
  const version = oneOf(random, ["1.1", "1.1", "1.1", "1.0"]);
  const host = random() < 0.9 ? "Host: a\r\n" : "";
  const text = `${method} ${target} HTTP/${version}\r\n${host}${fieldLines(random)}\r\n`;
  const next = random() < 0.3 ? "GET /next HTTP/1.1\r\nHost: a\r\n\r\n" : "";
  return Buffer.from(damage(text, below(random, 4), words, random) + next, "latin1");
}

/** The offset after the head, NEED_MORE or a refusal, of an input that comes in pieces. */
function inPieces(input: Buffer, ends: readonly number[]): number {
  let verdict: number = NEED_MORE;
  for (const end of ends) {
    verdict = parseRequest(input, 0, end, LIMITS, head);
    if (verdict !== NEED_MORE) return verdict;
  }
  return verdict;
}

/** The target as the next hop gets it (RFC 9112 3.2.1, 3.2.4). */
function target(bytes: Buffer, { method, target: { form, pathStart, pathEnd } }: RequestHead): string {
  const path = bytes.toString("latin1", pathStart, pathEnd);
  if (path === "") return method === Method.OPTIONS ? "*" : "/";
  return form === Form.ABSOLUTE && path.startsWith("?") ? `/${path}` : path;
}

/** What a parsed request means, as text. */
const meaning = (bytes: Buffer, parsed: RequestHead): string =>
  [
    bytes.toString("latin1", parsed.methodStart, parsed.methodEnd),
    target(bytes, parsed),
    parsed.length,
    parsed.chunked,
    parsed.expect,
  ].join(" ");

/** What everyone after us must be able to rely on, seen by a simple reader. */
function judgeWritten(text: string): void {
  const lines = plainLines(text);
  if (lines === null) throw new Fault("what is sent on is not plain lines");
  const all = (name: string): string[] => lines.fields.filter(([is]) => is === name).map(([, value]) => value);
  const [hosts, lengths, codings] = [all("host"), all("content-length"), all("transfer-encoding")];
  if (!/^[!-~]+ [!-~]+ HTTP\/1\.1$/.test(lines.start)) throw new Fault("malformed line is sent on");
  if (hosts.length !== 1 || hosts[0] === "") throw new Fault(`${hosts.length} Host fields are sent on`);
  if (lengths.length + codings.length > 1) throw new Fault("two framings are sent on");
  if (lengths.some((value) => !/^\d{1,16}$/.test(value))) throw new Fault("a bad length is sent on");
  if (codings.some((value) => value !== "chunked")) throw new Fault("a bad coding is sent on");
  if (all("via").at(-1) === undefined) throw new Fault("no Via is sent on");
  for (const name of ["te", "keep-alive", "proxy-connection", "content_length"])
    if (all(name).length > 0) throw new Fault(`${name} is sent on`);
}

function judge(input: Buffer, random: Random): string {
  const verdict = parseRequest(input, 0, input.length, LIMITS, head);
  const ends = cuts(random, input.length);
  const cut = inPieces(input, ends);
  if (cut !== verdict) throw new Fault(`${verdict} whole, but ${cut} when cut at ${ends}`);
  if (verdict === NEED_MORE) return "need more";
  if (verdict < 0) return `${refusalOf(verdict).status} ${refusalOf(verdict).why}`;
  if (verdict > LIMITS.size + 2) throw new Fault(`a head of ${verdict} octets is read`);
  parseRequest(input, 0, input.length, LIMITS, head);
  const meant = meaning(input, head);
  const upgrade = head.upgrade >= 0;
  const framing = head.chunked ? "chunked" : head.length >= 0 ? "length" : "none";
  const outcome = `read: method ${head.method}, 1.${head.minor}, form ${head.target.form}, ${framing}${head.close ? ", close" : ""}${head.expect ? ", expect" : ""}${upgrade ? ", upgrade" : ""}`;
  const size = writeRequest(out, 0, input, head, tail, upgrade);
  judgeWritten(out.toString("latin1", 0, size));
  const read = parseRequest(out, 0, size, WIDE, again);
  if (read !== size) throw new Fault(`what is sent on reads as ${read}, not ${size}`);
  const told = meaning(out, again);
  if (told !== meant) throw new Fault(`${meant} is sent on as ${told}`);
  return outcome;
}

export const httpRequest: FuzzTarget = {
  summary: "request heads: any cut gives the same verdict; what is sent on is plain, and reads as the same request",
  run: eachInput(make, judge),
};
