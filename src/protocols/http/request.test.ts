import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ascii } from "./octets.ts";
import { byteByByte, cut, requestVerdict } from "./testing.ts";

const verdict = (text: string) => requestVerdict([ascii(text)]);
const get = (fields: string) => verdict(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
const read = (text: string) => JSON.parse(verdict(text));

describe("a request that is refused", () => {
  const cases: [id: string, text: string, answer: string][] = [
    ["A.2 bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400 malformed header field"],
    ["A.2 bare LF ends a line", "GET / HTTP/1.1\nHost: a\n\n", "400 malformed request line"],
    ["A.2 bare LF ends a field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "400 malformed header field"],
    ["A.3 space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 malformed header field"],
    ["A.3 two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"],
    ["A.3 TLS", "\x16\x03\x01", "400 malformed request line"],
    ["A.3 no version", "GET /\r\nHost: a\r\n\r\n", "400 malformed request line"],
    ["A.3 two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"],
    ["A.3 tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"],
    ["A.3 colon for a space", "GET:/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"],
    ["A.3 no space", "GET//a HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"],
    ["A.3 space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400 malformed request line"],
    ["A.3 lower-case protocol", "GET / http/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"],
    ["A.4 HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 not HTTP/1.x"],
    ["A.4 HTTP/0.9 words", "GET / HTTP/0.9\r\n\r\n", "505 not HTTP/1.x"],
    ["A.5 long target", `GET /${"a".repeat(300)} HTTP/1.1\r\nHost: a\r\n\r\n`, "414 request target too long"],
    ["A.5 endless target", `GET /${"a".repeat(3000)}`, "414 request target too long"],
    ["A.5 large head", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(2048)}\r\n\r\n`, "431 request head too large"],
    ["A.5 many fields", `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(20)}\r\n`, "431 request head too large"],
    ["A.5 long method", `${"A".repeat(40)} / HTTP/1.1\r\nHost: a\r\n\r\n`, "501 method too long"],
    ["A.6 no Host", "GET / HTTP/1.1\r\n\r\n", "400 no Host field"],
    ["A.6 two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 more than one Host field"],
    ["A.6 Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 invalid Host"],
    ["A.6 Host with user information", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400 invalid Host"],
    ["A.6 Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 invalid Host"],
    ["A.6 empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 invalid Host"],
    ["A.6 Host list", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "400 invalid Host"],
    ["A.6 Hosts joined", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "400 invalid Host"],
    ["A.6 Host with an escape", "GET / HTTP/1.1\r\nHost: %61\r\n\r\n", "400 invalid Host"],
    ["A.6 Host with half an escape", "GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", "400 invalid Host"],
    ["A.6 port beyond all", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400 invalid Host"],
    ["A.6 brackets around colons", "GET / HTTP/1.1\r\nHost: [::::]\r\n\r\n", "400 invalid Host"],
    ["A.6 brackets around a number", "GET / HTTP/1.1\r\nHost: [12]\r\n\r\n", "400 invalid Host"],
    ["A.6 brackets around IPv4", "GET / HTTP/1.1\r\nHost: [10.0.0.1]\r\n\r\n", "400 invalid Host"],
    ["A.6 a zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", "400 invalid Host"],
    ["A.6 a bracket left open", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400 invalid Host"],
    ["A.6 text behind a bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", "400 invalid Host"],
    ["A.6 a future literal", "GET / HTTP/1.1\r\nHost: [v1.a]\r\n\r\n", "400 invalid Host"],
    [
      "A.7 absolute with user information",
      "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
      "400 malformed request target",
    ],
    ["A.7 absolute without Host", "GET http://h/ HTTP/1.1\r\n\r\n", "400 no Host field"],
    ["A.7 other scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"],
    ["A.7 fragment", "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"],
    ["A.7 no form at all", "GET a HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"],
    ["A.8 star for GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", "400 malformed request target"],
    ["A.10 space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400 malformed header field"],
    ["A.11 obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "400 malformed header field"],
    ["A.12 NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", "400 malformed header field"],
    ["A.12 name that is no token", "GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n", "400 malformed header field"],
    ["A.12 empty name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", "400 malformed header field"],
    [
      "B.16 coding in HTTP/1.0",
      "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
      "400 Transfer-Encoding in an HTTP/1.0 message",
    ],
    ["E.48 CONNECT without a port", "CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request target"],
    ["E.48 CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "501 CONNECT is not offered"],
    ["D.36 TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "501 TRACE is not offered"],
  ];
  test.each(cases)("%s", (_id, text, answer) => {
    expect(verdict(text)).toBe(answer);
    expect(requestVerdict(byteByByte(text))).toBe(answer);
  });
});

describe("framing that is refused", () => {
  const cases: [id: string, fields: string, answer: string][] = [
    [
      "B.17 CL.TE",
      "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
      "400 both Content-Length and Transfer-Encoding",
    ],
    [
      "B.17 TE.CL",
      "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
      "400 both Content-Length and Transfer-Encoding",
    ],
    ["B.19 TE.TE", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "400 invalid Transfer-Encoding"],
    ["B.19 chunked first", "Transfer-Encoding: chunked, gzip\r\n", "400 invalid Transfer-Encoding"],
    ["B.19 chunked twice", "Transfer-Encoding: chunked, chunked\r\n", "400 invalid Transfer-Encoding"],
    ["B.19 comma first", "Transfer-Encoding: ,chunked\r\n", "400 invalid Transfer-Encoding"],
    ["B.19 xchunked", "Transfer-Encoding: xchunked\r\n", "400 invalid Transfer-Encoding"],
    ["B.19 quoted", 'Transfer-Encoding: "chunked"\r\n', "400 invalid Transfer-Encoding"],
    ["B.19 vertical tab", "Transfer-Encoding: \x0bchunked\r\n", "400 malformed header field"],
    ["B.19 identity", "Transfer-Encoding: identity\r\n", "400 invalid Transfer-Encoding"],
    ["B.19 unknown coding", "Transfer-Encoding: gzip, chunked\r\n", "501 transfer coding not offered"],
    ["B.20 two lengths", "Content-Length: 5\r\nContent-Length: 5\r\n", "400 more than one Content-Length"],
    ["B.20 list of lengths", "Content-Length: 5, 5\r\n", "400 invalid Content-Length"],
    ["B.20 plus", "Content-Length: +5\r\n", "400 invalid Content-Length"],
    ["B.20 minus", "Content-Length: -5\r\n", "400 invalid Content-Length"],
    ["B.20 hexadecimal", "Content-Length: 0x5\r\n", "400 invalid Content-Length"],
    ["B.20 underscore", "Content-Length: 5_0\r\n", "400 invalid Content-Length"],
    ["B.20 empty", "Content-Length:\r\n", "400 invalid Content-Length"],
    ["B.23 beyond 2^53", "Content-Length: 9007199254740992\r\n", "400 invalid Content-Length"],
    ["B.23 wraps 64 bits", "Content-Length: 18446744073709551621\r\n", "400 invalid Content-Length"],
    ["E.46 unknown expectation", "Expect: 200-ok\r\n", "417 unknown expectation"],
    ["D.35 Connection is no list", "Connection: close; x\r\n", "400 malformed Connection field"],
  ];
  test.each(cases)("%s", (_id, fields, answer) => expect(get(fields)).toBe(answer));
});

describe("a request that is read", () => {
  test("A.3 one empty line before it", () => expect(read("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").host).toBe("a"));
  test("A.7 an absolute target rules over Host", () => {
    const head = read("GET http://Real:81/p?q HTTP/1.1\r\nHost: forged\r\n\r\n");
    expect([head.host, head.path, head.kept]).toEqual(["Real:81", "/p?q", "1"]);
  });
  const hosts = [
    "[::1]:80",
    "[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535",
    "a_b.example.:0080",
    "10.0.0.1:",
    "xn--a!$&'()*+;=~",
  ];
  test.each(hosts)("A.6 the Host %s", (host) =>
    expect(read(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`).host).toBe(host),
  );
  test("A.13 empty elements of Connection", () =>
    expect(JSON.parse(get("Connection: , close,,\r\n")).close).toBe(true));
  test("B.23 the largest length", () =>
    expect(JSON.parse(get("Content-Length: 9007199254740991\r\n")).length).toBe(9007199254740991));
  test("C.30 HTTP/1.0 is closed, even when it asks otherwise", () =>
    expect(read("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").close).toBe(true));
  test("D.35 what Connection names ends here", () =>
    expect(JSON.parse(get("X-A: 1\r\nConnection: x-a, Keep-Alive\r\nx-A: 2\r\nX-B: 3\r\n")).kept).toBe("01110"));
  test("D.35 Connection cannot take end-to-end fields", () =>
    expect(
      JSON.parse(
        get("Connection: host, content-length, x-forwarded-for, cookie\r\nCookie: a\r\nX-Forwarded-For: b\r\n"),
      ).kept,
    ).toBe("0100"));
  test("D.35 hop-by-hop fields end here without being named", () =>
    expect(
      JSON.parse(get("TE: trailers\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nProxy: x\r\nUpgrade: y\r\n")).kept,
    ).toBe("011111"));
  test("aliases of known names end here", () =>
    expect(
      JSON.parse(get("X_Forwarded_For: 1\r\ncontent_length: 5\r\nTransfer.Encoding: chunked\r\nmy_own: 1\r\n")).kept,
    ).toBe("01110"));
  test("E.46 Expect of an HTTP/1.0 client is ignored", () => {
    const head = read("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    expect([head.expect, head.kept]).toEqual([false, "10"]);
  });
  test("E.47 an upgrade is offered only by HTTP/1.1, when nominated, without a body", () => {
    const offer = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    expect(JSON.parse(get(offer)).upgrade).toBe(2);
    expect(JSON.parse(get("Upgrade: websocket\r\n")).upgrade).toBe(-1);
    expect(JSON.parse(get(`${offer}Content-Length: 3\r\n`)).upgrade).toBe(-1);
    expect(JSON.parse(get(`${offer}Upgrade: h2c\r\n`)).upgrade).toBe(-1);
    expect(read(`GET / HTTP/1.0\r\nHost: a\r\n${offer}\r\n`).upgrade).toBe(-1);
  });
});

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/);
const value = fc.stringMatching(/^([!-~]([ -~]{0,20}[!-~])?)?$/);
const someFields = fc.array(fc.tuple(token, value), { maxLength: 8 });
const requestText = fc
  .tuple(fc.constantFrom("GET", "POST", "PURGE"), fc.stringMatching(/^\/[a-z0-9/?=&%.]{0,40}$/), someFields)
  .map(([method, target, fields]) => {
    const lines = fields.map(([name, text]) => `${name}: ${text}\r\n`).join("");
    return `${method} ${target} HTTP/1.1\r\nHost: a.example\r\n${lines}\r\nrest`;
  });
const mutation = fc.array(
  fc.tuple(
    fc.nat(),
    fc.constantFrom("\r", "\n", "\0", " ", ":", ",", "\t", "0", "\r\n", "Content-Length: 1\r\n", "\xff", ""),
  ),
  { maxLength: 4 },
);

test("any cut of any input gives the same answer, and none throws", () => {
  fc.assert(
    fc.property(requestText, mutation, fc.array(fc.nat(), { maxLength: 6 }), (text, changes, places) => {
      let bytes = text;
      for (const [at, what] of changes) {
        const place = at % (bytes.length + 1);
        bytes = bytes.slice(0, place) + what + bytes.slice(place + (at % 2));
      }
      const whole = requestVerdict([ascii(bytes)]);
      expect(requestVerdict(cut(bytes, places))).toBe(whole);
      expect(requestVerdict(byteByByte(bytes))).toBe(whole);
    }),
    { numRuns: 400 },
  );
});

test("random bytes are read or refused, never thrown at", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      requestVerdict([Buffer.from(bytes)]);
      requestVerdict([ascii("GET / HTTP/1.1\r\nHost: a\r\n"), Buffer.from(bytes)]);
    }),
    { numRuns: 500 },
  );
});
