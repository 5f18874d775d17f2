import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ascii } from "./octets.ts";
import { Framing } from "./response.ts";
import { byteByByte, cut, responseVerdict } from "./testing.ts";

const verdict = (text: string, isHead = false) => responseVerdict([ascii(text)], isHead);
const read = (text: string, isHead = false) => JSON.parse(verdict(text, isHead));

describe("a response that is refused", () => {
  const cases: [id: string, text: string, answer: string][] = [
    ["A.2 bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "malformed status line"],
    ["A.2 bare CR in a value", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "malformed header field in the response"],
    ["A.4 another protocol", "SSH-2.0-x\r\n", "malformed status line"],
    ["A.4 HTTP/2", "HTTP/2 200\r\n\r\n", "malformed status line"],
    ["A.9 four digits", "HTTP/1.1 2000 OK\r\n\r\n", "malformed status line"],
    ["A.10 space before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "malformed header field in the response"],
    ["A.11 obs-fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "malformed header field in the response"],
    ["A.12 NUL", "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", "malformed header field in the response"],
    [
      "B.16 coding in HTTP/1.0",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "transfer coding of the response not understood",
    ],
    [
      "B.17 both",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
      "both Content-Length and Transfer-Encoding in the response",
    ],
    [
      "B.20 two lengths",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
      "invalid Content-Length in the response",
    ],
    ["B.20 bad length", "HTTP/1.1 200 OK\r\nContent-Length: 3a\r\n\r\n", "invalid Content-Length in the response"],
    [
      "B.19 unknown coding",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
      "transfer coding of the response not understood",
    ],
  ];
  test.each(cases)("%s", (_id, text, answer) => {
    expect(verdict(text)).toBe(answer);
    expect(responseVerdict(byteByByte(text))).toBe(answer);
  });
});

describe("framing (RFC 9112 6.3)", () => {
  const cases: [id: string, text: string, isHead: boolean, framing: number, keepAlive: boolean][] = [
    ["length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, Framing.LENGTH, true],
    ["length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, Framing.NONE, true],
    ["chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false, Framing.CHUNKED, true],
    ["until close", "HTTP/1.1 200 OK\r\n\r\n", false, Framing.CLOSE, false],
    ["B.22 HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, Framing.NONE, true],
    ["B.22 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", false, Framing.NONE, true],
    [
      "B.22 204 that claims a body is not trusted again",
      "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
      false,
      Framing.NONE,
      false,
    ],
    ["B.22 100", "HTTP/1.1 100 Continue\r\n\r\n", false, Framing.NONE, true],
    ["C.32 close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n", false, Framing.LENGTH, false],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", false, Framing.LENGTH, false],
    [
      "HTTP/1.0 kept",
      "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 3\r\n\r\n",
      false,
      Framing.LENGTH,
      true,
    ],
    ["A.9 no reason", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", false, Framing.LENGTH, true],
  ];
  test.each(cases)("%s", (_id, text, isHead, framing, keepAlive) => {
    const head = read(text, isHead);
    expect([head.framing, head.keepAlive]).toEqual([framing, keepAlive]);
  });
});

test("B.27 a 204 loses its Content-Length, D.35 hop-by-hop fields go", () => {
  expect(read("HTTP/1.1 204 No\r\nContent-Length: 0\r\nKeep-Alive: 5\r\nX: y\r\n\r\n").kept).toBe("110");
  expect(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-H: 1\r\nConnection: x-h\r\nUpgrade: h2c\r\n\r\n").kept).toBe(
    "0111",
  );
});

test("any cut gives the same answer", () => {
  const text = fc
    .tuple(
      fc.constantFrom("200 OK", "204", "301 Moved here", "503 "),
      fc.array(fc.constantFrom("Content-Length: 5", "A: b", "Connection: close, a", "X:\ty ", "Z : q"), {
        maxLength: 5,
      }),
    )
    .map(([status, lines]) => `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\nbody`);
  fc.assert(
    fc.property(
      text,
      fc.nat(),
      fc.constantFrom("", "\r", "\n", "\0", "é"),
      fc.array(fc.nat(), { maxLength: 5 }),
      (whole, at, what, places) => {
        const place = at % whole.length;
        const bytes = whole.slice(0, place) + what + whole.slice(place);
        const answer = responseVerdict([ascii(bytes)]);
        expect(responseVerdict(cut(bytes, places))).toBe(answer);
        expect(responseVerdict(byteByByte(bytes))).toBe(answer);
      },
    ),
    { numRuns: 300 },
  );
});
