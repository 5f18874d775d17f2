import { expect, test } from "bun:test";
import fc from "fast-check";
import { ascii } from "./octets.ts";
import { parseRequest, RequestHead } from "./request.ts";
import { parseResponse, ResponseHead } from "./response.ts";
import { LIMITS } from "./testing.ts";
import { type RequestTail, writeRequest, writeResponse } from "./write.ts";

const out = Buffer.alloc(8192);
const tail = (trusted: boolean, also = false): RequestTail => ({
  lines: [ascii("Via: 1.0 s\r\n"), ascii("Via: 1.1 s\r\n")],
  address: ascii("192.0.2.1"),
  forwardedFor: ascii("X-Forwarded-For: 192.0.2.1\r\n"),
  trusted,
  element: ascii("for=192.0.2.1;proto=http"),
  forwarded: also,
  host: ascii("127.0.0.1:80"),
});

function forwarded(text: string, trusted = false, also = false): string {
  const head = new RequestHead(LIMITS);
  const bytes = ascii(text);
  const end = parseRequest(bytes, 0, bytes.length, LIMITS, head);
  if (end <= 0) throw new Error(`not read: ${text}`);
  return out.toString("latin1", 0, writeRequest(out, 0, bytes, head, tail(trusted, also), head.upgrade >= 0));
}

function answered(text: string, close = false): string {
  const head = new ResponseHead({ fields: 20 });
  const bytes = ascii(text);
  if (parseResponse(bytes, 0, bytes.length, LIMITS, { isHead: false }, head) <= 0) throw new Error(`not read: ${text}`);
  const edit = { close, chunked: true, date: ascii("Date: now\r\n") };
  return out.toString("latin1", 0, writeResponse(out, 0, bytes, head, edit));
}

test("A.7 Host is made from an absolute target, and the target becomes origin-form", () => {
  expect(forwarded("GET http://Real:81?q HTTP/1.1\r\nHost: forged\r\nA: b\r\n\r\n")).toBe(
    "GET /?q HTTP/1.1\r\nHost: Real:81\r\nA: b\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: Real:81\r\nVia: 1.1 s\r\n\r\n",
  );
});
test("A.8 OPTIONS with an absolute target without path becomes a star", () =>
  expect(forwarded("OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n")).toStartWith("OPTIONS * HTTP/1.1\r\nHost: h\r\n"));
test("A.4 an HTTP/1.0 request goes on as 1.1, with a Host", () =>
  expect(forwarded("GET / HTTP/1.0\r\n\r\n")).toBe(
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nX-Forwarded-For: 192.0.2.1\r\nVia: 1.0 s\r\n\r\n",
  ));
test("A.4 whatever minor version came, 1.1 goes on", () => {
  expect(forwarded("GET /x HTTP/1.9\r\nHost: h\r\n\r\n")).toStartWith("GET /x HTTP/1.1\r\nHost: h\r\n");
  expect(answered("HTTP/1.9 200 OK\r\nDate: x\r\n\r\n")).toBe("HTTP/1.1 200 OK\r\nDate: x\r\n\r\n");
});
test("a first line goes on without the fields behind it that end here", () => {
  expect(forwarded("GET /x HTTP/1.1\r\nTE: a\r\nHost: h\r\nKeep-Alive: 1\r\nA: b\r\n\r\n")).toStartWith(
    "GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\nX-Forwarded-For: ",
  );
  expect(answered("HTTP/1.1 200 OK\r\nKeep-Alive: 1\r\nDate: x\r\nConnection: keep-alive\r\n\r\n")).toBe(
    "HTTP/1.1 200 OK\r\nDate: x\r\n\r\n",
  );
});
test("D.36 Max-Forwards of OPTIONS is counted down, of others left alone", () => {
  expect(forwarded("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 3\r\n\r\n")).toContain("\r\nMax-Forwards: 2\r\n");
  expect(forwarded("GET / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 3\r\n\r\n")).toContain("\r\nMax-Forwards: 3\r\n");
});
test("X-Forwarded-* of strangers are removed, of trusted clients kept and added to", () => {
  const text =
    "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1\r\nx-forwarded-for: 2, 3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: o\r\nForwarded: for=1\r\n\r\n";
  expect(forwarded(text)).toBe(
    "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: h\r\nVia: 1.1 s\r\n\r\n",
  );
  expect(forwarded(text, true)).toBe(
    'GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: o\r\nX-Forwarded-For: 1, 2, 3, 192.0.2.1\r\nForwarded: for=1, for=192.0.2.1;proto=http;host="h"\r\nVia: 1.1 s\r\n\r\n',
  );
});
test("Forwarded (RFC 7239): a stranger's is replaced, a trusted client's gets our element behind all of its own", () => {
  const text = 'GET / HTTP/1.1\r\nHost: [::1]:80\r\nForwarded: for="[::1]"\r\nA: b\r\nforwarded: for=_x;by=2\r\n\r\n';
  const ours = 'for=192.0.2.1;proto=http;host="[::1]:80"';
  const linesOf = (sent: string): string[] => sent.split("\r\n").filter((line) => /^forwarded:/i.test(line));
  expect(linesOf(forwarded(text))).toEqual([]);
  expect(linesOf(forwarded(text, false, true))).toEqual([`Forwarded: ${ours}`]);
  expect(linesOf(forwarded(text, true))).toEqual([`Forwarded: for="[::1]", for=_x;by=2, ${ours}`]);
  expect(linesOf(forwarded("GET / HTTP/1.0\r\n\r\n", false, true))).toEqual(["Forwarded: for=192.0.2.1;proto=http"]);
});
test("A.13 lists that a trusted client began go on without empty elements, and none takes ours into its quotes", () => {
  const sent = (fields: string, name: string): string[] =>
    forwarded(`GET / HTTP/1.1\r\nHost: h\r\n${fields}\r\n`, true)
      .split("\r\n")
      .filter((line) => line.startsWith(name));
  const ours = 'for=192.0.2.1;proto=http;host="h"';
  expect(sent("X-Forwarded-For: , 1 ,\t,2,\r\nX-Forwarded-For: ,\r\n", "X-Forwarded-For")).toEqual([
    "X-Forwarded-For: 1, 2, 192.0.2.1",
  ]);
  expect(sent("X-Forwarded-For:\r\n", "X-Forwarded-For")).toEqual(["X-Forwarded-For: 192.0.2.1"]);
  const quoted = 'for="a,,\\",,";by=b';
  expect(sent(`Forwarded: ,,${quoted},,for=c,\r\n`, "Forwarded")).toEqual([`Forwarded: ${quoted}, for=c, ${ours}`]);
  for (const open of ['for="x', 'for="x\\', 'for="x, for=y', 'for="\\"'])
    expect(sent(`Forwarded: for=c, ${open}\r\n`, "Forwarded")).toEqual([`Forwarded: for=c, ${ours}`]);
});
test("a trusted client that says no X-Forwarded-Proto gets ours", () =>
  expect(forwarded("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true)).toContain("\r\nX-Forwarded-Proto: http\r\n"));
test("D.37 Via is added behind those that are there", () =>
  expect(forwarded("GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 other\r\n\r\n")).toContain("Via: 1.1 other\r\n"));
test("D.39 order of lines with one name is kept, none are merged", () =>
  expect(
    answered("HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX: y\r\nSet-Cookie: b\r\nDate: x\r\nContent-Length: 0\r\n\r\n"),
  ).toBe("HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX: y\r\nSet-Cookie: b\r\nDate: x\r\nContent-Length: 0\r\n\r\n"));
test("A.9 SP after a status without reason; D.41 Date is added", () =>
  expect(answered("HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n", true)).toBe(
    "HTTP/1.1 200 \r\nContent-Length: 0\r\nDate: now\r\nConnection: close\r\n\r\n",
  ));
test("B.15 no Transfer-Encoding leaves on 204; E.47 101 and 426 keep their Upgrade", () => {
  expect(answered("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\nDate: x\r\n\r\n")).toBe(
    "HTTP/1.1 204 No\r\nDate: x\r\n\r\n",
  );
  expect(answered("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")).toBe(
    "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
  );
  expect(answered("HTTP/1.1 426 No\r\nUpgrade: x\r\nContent-Length: 0\r\nDate: x\r\n\r\n")).toContain("Upgrade: x\r\n");
});

const field = fc.tuple(fc.stringMatching(/^X-[A-Za-z0-9-]{1,10}$/), fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/));
test("what is written reads back to the same: target, framing, and every end-to-end field in order", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^\/[!$-;=?-~]{0,40}$/),
      fc.array(field, { maxLength: 8 }),
      fc.constantFrom("", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n"),
      (target, fields, framing) => {
        const plain = fields.filter(([name]) => !/^x-forwarded-/i.test(name));
        const lines = plain.map(([name, value]) => `${name}: ${value}\r\n`).join("");
        const text = `POST ${target} HTTP/1.1\r\nHost: a\r\n${lines}${framing}\r\n`;
        const again = ascii(forwarded(text));
        const head = new RequestHead(LIMITS);
        expect(parseRequest(again, 0, again.length, LIMITS, head)).toBe(again.length);
        expect(again.toString("latin1", head.target.pathStart, head.target.pathEnd)).toBe(target);
        expect([head.length, head.chunked]).toEqual([framing.startsWith("C") ? 7 : -1, framing.startsWith("T")]);
        expect(again.toString("latin1")).toContain(`Host: a\r\n${lines}`);
        expect(forwarded(again.toString("latin1"), true)).toContain(lines);
      },
    ),
    { numRuns: 300 },
  );
});
