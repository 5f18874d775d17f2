import { expect, test } from "bun:test";
import fc from "fast-check";
import { READ_LIMIT, ResponseReader } from "./response-reader.ts";

function read(text: string | Uint8Array, cuts: readonly number[] = [], method: "GET" | "HEAD" = "GET") {
  const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
  const reader = new ResponseReader(method);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let at = 0;
  for (const place of [...places, bytes.length]) {
    reader.push(bytes.subarray(at, place));
    at = place;
  }
  return {
    reader,
    state: reader.state,
    status: reader.status,
    body: reader.body.toString("latin1"),
    fault: reader.fault,
  };
}

test("bodies by length, by chunks and by the connection's end", () => {
  expect(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")).toMatchObject({
    state: "done",
    status: 200,
    body: "abc",
  });
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n";
  expect(read(chunked)).toMatchObject({ state: "done", body: "abcde" });
  const open = read("HTTP/1.0 503 \r\n\r\nabc");
  expect(open).toMatchObject({ state: "body", status: 503, body: "abc" });
  expect(open.reader.end()).toBe(true);
  expect(read("HTTP/1.1 200\r\nContent-Length: 9\r\n\r\nabc").reader.end()).toBe(false);
});

test("responses without a body end at their head", () => {
  for (const head of ["HTTP/1.1 204 No\r\nContent-Length: 5", "HTTP/1.1 304 x", "HTTP/1.1 200 OK\r\nContent-Length: 0"])
    expect(read(`${head}\r\n\r\n`).state).toBe("done");
  expect(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", [], "HEAD").state).toBe("done");
});

test("interim responses are passed over", () => {
  const text =
    "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not\r\nContent-Length: 1\r\n\r\nx";
  expect(read(text)).toMatchObject({ state: "done", status: 404 });
});

test("a field line of nothing but white space is read once, not in all ways to share it out", () => {
  const blanks = " ".repeat(READ_LIMIT - 40);
  // One of them took the expression of before half a minute.
  for (let i = 0; i < 50; i++) {
    expect(read(`HTTP/1.1 200 OK\r\nX:${blanks}\x01\r\n\r\n`).fault).toBe("a header line is malformed");
    expect(read(`HTTP/1.1 200 OK\r\nContent-Length:${blanks}0\r\n\r\n`)).toMatchObject({ state: "done", status: 200 });
  }
});

test("what is not HTTP, or ambiguous, is refused with the reason", () => {
  const faults: [string, string][] = [
    ["SSH-2.0-OpenSSH_9.2\r\n", "answer is not HTTP"],
    ["HTTP/2 200\r\n\r\n", "answer is not HTTP"],
    ["HTTP/1.1 2000 OK\r\n\r\n", "status line is malformed"],
    ["HTTP/1.1  200 OK\r\n\r\n", "status line is malformed"],
    ["HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "a header line is malformed"],
    ["HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "a header line is malformed"],
    ["HTTP/1.1 200 OK\r\nA: b\n c\r\n\r\n", "a header line is malformed"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "Content-Length is ambiguous"],
    ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length is ambiguous"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", "Transfer-Encoding is ambiguous"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding is ambiguous"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunked body is malformed"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "chunked body is malformed"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n", "chunked body is malformed"],
  ];
  for (const [text, fault] of faults) expect(read(text)).toMatchObject({ state: "bad", fault });
});

test("a head or a body without end stops at the limit", () => {
  const head = read(`HTTP/1.1 200 OK\r\nA: ${"x".repeat(READ_LIMIT)}`);
  expect(head).toMatchObject({ state: "bad", fault: `head over ${READ_LIMIT} bytes` });
  const body = read(Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), Buffer.alloc(READ_LIMIT * 3, 65)]));
  expect(body.state).toBe("full");
  expect(body.body.length).toBeLessThan(READ_LIMIT);
  const interims = (count: number) => read(`${"HTTP/1.1 100 \r\n\r\n".repeat(count)}HTTP/1.1 204 No\r\n\r\n`);
  expect(interims(32)).toMatchObject({ state: "done", status: 204 });
  expect(interims(33)).toMatchObject({ state: "bad", fault: "too many interim responses" });
});

const piece = fc.constantFrom(
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.1 100 C\r\n\r\n",
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "A: b\r\n",
  "\r\n",
  "3\r\nabc\r\n",
  "0\r\n",
  "\r\n\r\n",
  "abc",
  "\n",
  "\r",
  ":",
  "ffffffff\r\n",
  "\u0000",
  "é",
);
const hostile = fc.oneof(
  fc.array(piece, { maxLength: 14 }).map((pieces) => Buffer.from(pieces.join(""), "latin1")),
  fc.array(piece, { maxLength: 10 }).map((pieces) => Buffer.from(`HTTP/1.1 200 OK\r\n${pieces.join("")}`, "latin1")),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

test("any bytes, however they are cut: no throw, and the same reading", () => {
  fc.assert(
    fc.property(hostile, fc.array(fc.nat(400), { maxLength: 12 }), (bytes, cuts) => {
      const { reader: _a, ...whole } = read(bytes);
      const { reader: _b, ...cut } = read(bytes, cuts);
      // What follows a fault is not read, so a body may be cut short by it in one piece or in several: equal anyway.
      expect(cut).toEqual(whole);
    }),
    { numRuns: 2000 },
  );
});
