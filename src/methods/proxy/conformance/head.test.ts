import { afterEach, describe, expect, test } from "bun:test";
import { ADDED, answered, answerHead, DATE, forwarded, get, refused, stage, stopAll } from "./exchange.ts";

afterEach(stopAll);

describe("start line and head, byte for byte", () => {
  test("A.1 octets above 127 pass as they are, and are no white space, no line end and no letter", async () => {
    const odd = "\x80\x85\xa0\xc2\xa0\xe2\x80\xa8\xff";
    expect(await forwarded(get(`X: ${odd}\r\n`))).toBe(`GET / HTTP/1.1\r\nHost: a\r\nX: ${odd}\r\n${ADDED}`);
    // U+017F and U+212A fold to s and k in Unicode: here they make a name that is no token.
    expect((await refused(get("Ho\xc5\xbft: b\r\n"))).status).toBe("400");
    const response = `HTTP/1.1 200 ${odd}\r\nX: ${odd}\r\n${DATE}Content-Length: 0\r\n\r\n`;
    expect(await answered(response, "\r\n\r\n")).toBe(response);
  });

  const bad: [id: string, request: string][] = [
    ["A.2 a bare CR in a target", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["A.2 a bare CR before a line's end", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"],
    ["A.2 a bare LF between the lines", "GET / HTTP/1.1\r\nHost: a\nTransfer-Encoding: chunked\r\n\r\n"],
    ["A.3 white space before the first field", "GET / HTTP/1.1\r\n\tHost: a\r\nHost: b\r\n\r\n"],
    ["A.6 Host with a comma", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"],
    ["A.6 Host twice, with the same value", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"],
    ["A.10 white space before the colon of Content-Length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n"],
    ["A.11 a folded Transfer-Encoding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n"],
    ["A.12 a NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"],
  ];
  test.each(bad)("%s: 400, and nothing goes on", async (_id, request) => {
    expect(await refused(request)).toEqual({ status: "400", seen: "" });
  });

  test("A.3 one empty line before a request is not sent on", async () => {
    expect(await forwarded(`\r\n${get()}`)).toBe(`GET / HTTP/1.1\r\nHost: a\r\n${ADDED}`);
  });

  test("A.4 an HTTP/1.0 request leaves as 1.1, and the answer of a 1.0 backend too", async () => {
    const { backend, client } = await stage(answerHead("HTTP/1.0 200 Fine\r\nDate: x\r\nContent-Length: 0\r\n\r\n"));
    const got = await client().send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").gone();
    expect(backend.connections[0]!.got).toBe(`GET / HTTP/1.1\r\nHost: a\r\n${ADDED.replace("1.1 sl", "1.0 sl")}`);
    expect(got).toBe("HTTP/1.1 200 Fine\r\nDate: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });

  const long: [id: string, request: string, status: string][] = [
    ["A.5 a target of 9,000 octets", get("", `/${"a".repeat(9000)}`), "414"],
    ["A.5 a head of 20,000 octets", get(`X: ${"a".repeat(20_000)}\r\n`), "431"],
    ["A.5 101 fields", get("X: y\r\n".repeat(101)), "431"],
    ["A.5 a method of 40 letters", `${"A".repeat(40)} / HTTP/1.1\r\nHost: a\r\n\r\n`, "501"],
    ["A.4 HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"],
  ];
  test.each(long)("%s", async (_id, request, status) => expect(await refused(request)).toEqual({ status, seen: "" }));

  test("A.7 Host is made from an absolute target, in its place nothing of the client's", async () => {
    expect(await forwarded("GET http://A/p?q HTTP/1.1\r\nX: 1\r\nHost: forged\r\n\r\n")).toBe(
      `GET /p?q HTTP/1.1\r\nHost: A\r\nX: 1\r\n${ADDED.replace("Host: a", "Host: A")}`,
    );
  });
  test("A.8 OPTIONS * and OPTIONS with an absolute target without path leave as *", async () => {
    for (const target of ["*", "http://a"])
      expect(await forwarded(`OPTIONS ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)).toBe(
        `OPTIONS * HTTP/1.1\r\nHost: a\r\n${ADDED}`,
      );
  });
  test("A.9 SP after a status without reason", async () => {
    expect(await answered(`HTTP/1.1 200\r\n${DATE}Content-Length: 0\r\n\r\n`, "\r\n\r\n")).toBe(
      `HTTP/1.1 200 \r\n${DATE}Content-Length: 0\r\n\r\n`,
    );
  });

  const broken: [id: string, response: string][] = [
    ["A.2 a bare LF in the response", `HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n`],
    ["A.2 a bare CR in the response", `HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n`],
    ["A.10 white space before the colon in the response", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"],
    ["A.11 a folded line in the response", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"],
    ["A.12 a NUL in the response", "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n"],
  ];
  test.each(broken)("%s: 502, and nothing of it reaches the client", async (_id, response) => {
    const { client, backend } = await stage(answerHead(response));
    const got = await client().send(get()).gone();
    expect(got).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
    expect(got).not.toMatch(/X:|Set-Cookie/);
    await backend.connections[0]!.gone();
  });

  test("A.13 empty elements of Connection are passed over", async () => {
    expect(await forwarded(get("Connection: ,, x ,\r\nX: 1\r\nY: 2\r\n"))).toBe(
      `GET / HTTP/1.1\r\nHost: a\r\nY: 2\r\n${ADDED}`,
    );
  });
});
