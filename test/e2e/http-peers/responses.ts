/** What a hostile backend sends as the answer to a client's first request. */
export interface ResponseCase {
  label: string;
  bytes: string;
  /** The request's method; GET when left out. */
  method?: string;
  /** The backend ends its connection behind it. */
  end?: boolean;
}

const CHUNKED = "Transfer-Encoding: chunked\r\n";
/** What must never be given to a later request. */
const POISON = "HTTP/1.1 200 Poison\r\nContent-Length: 6\r\n\r\npoison";

const ok = (fields: string, body = "", line = "HTTP/1.1 200 OK"): string => `${line}\r\n${fields}\r\n${body}`;
const two = "Content-Length: 2\r\n";

export const responses: readonly ResponseCase[] = [
  { label: "response: queue: a second response behind the first", bytes: ok(two, `ok${POISON}`) },
  { label: "response: queue: a body behind a 304", bytes: ok(two, POISON, "HTTP/1.1 304 Not Modified") },
  { label: "response: queue: a body behind a 204", bytes: ok("", POISON, "HTTP/1.1 204 No Content") },
  { label: "response: queue: a chunked 204", bytes: ok(CHUNKED, `0\r\n\r\n${POISON}`, "HTTP/1.1 204 No Content") },
  { label: "response: queue: a 205 with content", bytes: ok(two, "ok", "HTTP/1.1 205 Reset Content") },
  { label: "response: queue: a chunked 205", bytes: ok(CHUNKED, "2\r\nok\r\n0\r\n\r\n", "HTTP/1.1 205 Reset Content") },
  { label: "response: queue: a body behind a HEAD's answer", method: "HEAD", bytes: ok(two, `ok${POISON}`) },
  { label: "response: queue: more than the length", bytes: ok(two, "okay, more") },
  { label: "response: queue: data behind the last chunk", bytes: ok(CHUNKED, `2\r\nok\r\n0\r\n\r\n${POISON}`) },
  { label: "response: framing: both, length first", bytes: ok(`${two}${CHUNKED}`, `0\r\n\r\n${POISON}`) },
  { label: "response: framing: both, coding first", bytes: ok(`${CHUNKED}${two}`, `0\r\n\r\n${POISON}`) },
  { label: "response: framing: two lengths that differ", bytes: ok(`${two}Content-Length: 4\r\n`, "okok") },
  { label: "response: framing: two lengths that agree", bytes: ok(two + two, "ok") },
  { label: "response: framing: a list of lengths", bytes: ok("Content-Length: 2, 2\r\n", "ok") },
  { label: "response: framing: a length with a sign", bytes: ok("Content-Length: +2\r\n", "ok"), end: true },
  { label: "response: framing: a negative length", bytes: ok("Content-Length: -2\r\n", "ok"), end: true },
  { label: "response: framing: an empty length", bytes: ok("Content-Length: \r\n", "ok"), end: true },
  {
    label: "response: framing: a length of 2^64",
    bytes: ok("Content-Length: 18446744073709551618\r\n", "ok"),
    end: true,
  },
  {
    label: "response: framing: gzip, chunked",
    bytes: ok("Transfer-Encoding: gzip, chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
    end: true,
  },
  {
    label: "response: framing: an unknown coding",
    bytes: ok("Transfer-Encoding: xchunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
    end: true,
  },
  { label: "response: framing: chunked twice", bytes: ok(CHUNKED + CHUNKED, "2\r\nok\r\n0\r\n\r\n"), end: true },
  {
    label: "response: framing: chunked in HTTP/1.0",
    bytes: ok(CHUNKED, "2\r\nok\r\n0\r\n\r\n", "HTTP/1.0 200 OK"),
    end: true,
  },
  { label: "response: framing: until the end", bytes: ok("", "ok"), end: true },
  { label: "response: framing: cut before its length", bytes: ok("Content-Length: 9\r\n", "ok"), end: true },
  { label: "response: framing: cut before its last chunk", bytes: ok(CHUNKED, "2\r\nok\r\n"), end: true },
  { label: "response: chunk: a bad size", bytes: ok(CHUNKED, "0x2\r\nok\r\n0\r\n\r\n"), end: true },
  { label: "response: chunk: LF behind the size", bytes: ok(CHUNKED, "2\nok\r\n0\r\n\r\n"), end: true },
  { label: "response: chunk: an extension", bytes: ok(CHUNKED, "2;x=y\r\nok\r\n0\r\n\r\n") },
  { label: "response: chunk: a trailer that frames", bytes: ok(CHUNKED, "2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n") },
  {
    label: "response: splitting: a bare LF between fields",
    bytes: ok(`X: y\nSet-Cookie: evil=1\r\n${two}`, "ok"),
    end: true,
  },
  {
    label: "response: splitting: a bare CR in a value",
    bytes: ok(`X: y\rSet-Cookie: evil=1\r\n${two}`, "ok"),
    end: true,
  },
  { label: "response: splitting: a NUL in a value", bytes: ok(`X: y\0z\r\n${two}`, "ok"), end: true },
  { label: "response: splitting: all lines end with LF", bytes: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", end: true },
  { label: "response: field: a folded line", bytes: ok(`X: y\r\n z\r\n${two}`, "ok"), end: true },
  { label: "response: field: a space before the colon", bytes: ok(`X : y\r\n${two}`, "ok"), end: true },
  {
    label: "response: field: a space before the colon of the length",
    bytes: ok("Content-Length : 2\r\n", "ok"),
    end: true,
  },
  { label: "response: field: no colon", bytes: ok(`X\r\n${two}`, "ok"), end: true },
  { label: "response: field: hop-by-hop", bytes: ok(`Connection: X\r\nX: y\r\nKeep-Alive: 5\r\n${two}`, "ok") },
  {
    label: "response: field: a head of 100,000 octets",
    bytes: ok(`X: ${"a".repeat(100_000)}\r\n${two}`, "ok"),
    end: true,
  },
  { label: "response: line: no reason", bytes: ok(two, "ok", "HTTP/1.1 200") },
  { label: "response: line: two digits", bytes: ok(two, "ok", "HTTP/1.1 20 OK"), end: true },
  { label: "response: line: status 600", bytes: ok(two, "ok", "HTTP/1.1 600 Odd") },
  { label: "response: line: status 099", bytes: ok(two, "ok", "HTTP/1.1 099 Odd"), end: true },
  { label: "response: line: HTTP/2.0", bytes: ok(two, "ok", "HTTP/2.0 200 OK"), end: true },
  { label: "response: line: no HTTP", bytes: "hello\r\n\r\n", end: true },
  {
    label: "response: interim: 103, then the answer",
    bytes: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok(two, "ok")}`,
  },
  { label: "response: interim: 100 that nobody asked for", bytes: `HTTP/1.1 100 Continue\r\n\r\n${ok(two, "ok")}` },
  {
    label: "response: interim: 101 that nobody asked for",
    bytes: `HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n${POISON}`,
  },
  { label: "response: interim: 100 with a length", bytes: `HTTP/1.1 100 Continue\r\n${two}\r\n${ok(two, "ok")}` },
];
