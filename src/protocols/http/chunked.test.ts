import { describe, expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { ChunkedReader } from "./chunked.ts";
import { ascii } from "./octets.ts";
import { byteByByte, chunkedVerdict, cut } from "./testing.ts";

const whole = (text: string, frames = true) => chunkedVerdict([ascii(text)], frames);

describe("a chunked body that is refused", () => {
  const cases: [id: string, text: string][] = [
    ["B.23 size beyond 2^53", "fffffffffffffff\r\n"],
    ["B.23 seventeen digits", "00000000000000001\r\n"],
    ["hexadecimal prefix", "0x5\r\n"],
    ["plus", "+5\r\n"],
    ["minus", "-5\r\n"],
    ["underscore", "1_0\r\n"],
    ["leading space", " 5\r\n"],
    ["space without an extension", "5 \r\nhello\r\n"],
    ["no size", "\r\n"],
    ["bare LF behind the size", "5\nhello\r\n"],
    ["bare CR behind the size", "5\rhello\r\n"],
    ["bare LF behind the data", "5\r\nhello\n0\r\n\r\n"],
    ["other octets behind the data", "5\r\nhelloXX0\r\n\r\n"],
    ["CR in an extension", "5;a\rb\r\nhello\r\n"],
    ["LF in an extension", "5;a\nb\r\nhello\r\n"],
    ["NUL in an extension", "5;\0\r\nhello\r\n"],
    ["B.24 endless extension", `5;${"a".repeat(5000)}`],
    ["B.24 empty extensions without end", "1;\r\na\r\n".repeat(5000)],
    ["endless spaces before an extension", `5${" ".repeat(5000)}`],
    ["trailer with a bare LF", "0\r\nA: b\n\r\n"],
    ["trailer that folds", "0\r\nA: b\r\n c\r\n\r\n"],
    ["trailers beyond the limit", `0\r\nA: ${"b".repeat(9000)}\r\n\r\n`],
    ["end that is not empty", "0\r\n\rX"],
  ];
  test.each(cases)("%s", (_id, text) => {
    expect(whole(text).end).toBe("malformed");
    expect(chunkedVerdict(byteByByte(text), true).end).toBe("malformed");
  });
});

test("B.24 extensions end here, the framing stays", () => {
  expect(whole('5;a="b" ;c\r\nhello\r\n3 ;x\r\nyou\r\n0;last\r\n\r\nnext')).toEqual({
    out: "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n",
    end: "done, 4 left, 8 data",
  });
});

test("for an HTTP/1.0 client only the data stays", () => {
  expect(whole("5\r\nhello\r\n3;x\r\nyou\r\n0\r\nT: 1\r\n\r\nnext", false)).toEqual({
    out: "helloyou",
    end: "done, 4 left, 8 data",
  });
});

test("nothing of the last chunk goes on before the body is whole: some readers take a zero that is cut off for the end", () => {
  for (const text of ["5\r\nhello\r\n000;x\r\nT: 1\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"])
    for (let size = 10; size < text.length; size++) {
      const begun = ascii(text.slice(0, size));
      for (const pieces of [[begun], byteByByte(text.slice(0, size))])
        expect(chunkedVerdict(pieces, true)).toEqual({ out: "5\r\nhello\r\n", end: "need more" });
    }
  expect(whole("5\r\nhello\r\n000;x\r\nT: 1\r\n\r\n").out).toBe("5\r\nhello\r\n0\r\nT: 1\r\n\r\n");
});

test("a zero in front of a chunk's size ends here: cut off behind it, it would be the last chunk to some", () => {
  expect(whole("00a\r\n0123456789\r\n10").out).toBe("a\r\n0123456789\r\n10");
  expect(chunkedVerdict(byteByByte("00a\r\n0123456789\r\n0"), true).out).toBe("a\r\n0123456789\r\n");
});

test("a body that comes in one piece goes on in one piece", () => {
  const reader = new ChunkedReader().reset(true, null);
  const bytes = ascii("5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\nnext");
  expect(reader.feed(bytes, 0, bytes.length)).toBe(bytes.length - 4);
  expect([reader.ranges.slice(0, reader.count), reader.tail]).toEqual([[0, bytes.length - 4], null]);
});

test("B.25 trailers pass, but none that frames, routes or authenticates", () => {
  const { out } = whole(
    "0\r\nX-Sum: 1\r\nContent-Length: 5\r\nHost: x\r\nAuthorization: y\r\nX-Forwarded-For: z\r\nEtag: a\r\n\r\n",
  );
  expect(out).toBe("0\r\nX-Sum: 1\r\nEtag: a\r\n\r\n");
});

const chunk = fc.tuple(
  fc.stringMatching(/^[a-z\r\n0;]{1,30}$/),
  fc.constantFrom("", "", ";x", " ;y=z", '; q="1;2"'),
  fc.constantFrom("", "00"),
);
const body = fc.array(chunk, { maxLength: 6 }).map((chunks) => ({
  data: chunks.map(([data]) => data).join(""),
  text: `${chunks.map(([data, extension, zeros]) => `${zeros}${data.length.toString(16)}${extension}\r\n${data}\r\n`).join("")}0\r\n\r\n`,
}));

test("decode gives the data, under any cut; frames re-read to the same", () => {
  fc.assert(
    fc.property(body, fc.array(fc.nat(), { maxLength: 8 }), ({ data, text }, places) => {
      expect(chunkedVerdict(cut(text, places), false).out).toBe(data);
      const framed = chunkedVerdict(cut(text, places), true).out;
      expect(framed).toBe(whole(text).out);
      expect(framed).not.toContain(" ;y");
      expect(whole(framed, false).out).toBe(data);
    }),
    { numRuns: 300 },
  );
});

test("trailers that drip are read again once for each of their lines, not for each of their bytes", () => {
  // Each reading that finds no end looks for the line's once.
  const looks = spyOn(Buffer.prototype, "indexOf");
  const trailers = `${"A: b\r\n".repeat(8)}C: ${"d".repeat(900)}\r\n\r\n`;
  const { out } = chunkedVerdict(byteByByte(`0\r\n${trailers}`), true);
  const count = looks.mock.calls.length;
  looks.mockRestore();
  expect(out).toBe(`0\r\n${trailers}`);
  expect([count > 0, count <= 10]).toEqual([true, true]);
});

test("any mutation gives the same answer under any cut", () => {
  fc.assert(
    fc.property(
      body,
      fc.nat(),
      fc.constantFrom("", "\r", "\n", "0", ";", "g", "\0", " "),
      fc.array(fc.nat(), { maxLength: 8 }),
      ({ text }, at, what, places) => {
        const place = at % text.length;
        const bytes = text.slice(0, place) + what + text.slice(place + (at % 2));
        expect(chunkedVerdict(cut(bytes, places), true)).toEqual(whole(bytes));
        expect(chunkedVerdict(byteByByte(bytes), false)).toEqual(whole(bytes, false));
      },
    ),
    { numRuns: 400 },
  );
});
