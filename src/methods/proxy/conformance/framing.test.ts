import { afterEach, describe, expect, test } from "bun:test";
import { ADDED, answered, answerHead, DATE, forwarded, get, OK, post, refused, stage, stopAll } from "./exchange.ts";

afterEach(stopAll);

const CHUNKED = "Transfer-Encoding: chunked\r\n";
const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

describe("framing, byte for byte", () => {
  test("B.14 B.18 a chunked request stays chunked, once, with no length", async () => {
    const body = "3\r\nabc\r\n0\r\n\r\n";
    expect(await forwarded(post(CHUNKED, body), "0\r\n\r\n")).toBe(
      `POST / HTTP/1.1\r\nHost: a\r\n${CHUNKED}${ADDED}${body}`,
    );
  });
  test("B.14 B.18 a chunked response stays chunked, once, with no length", async () => {
    const response = `HTTP/1.1 200 OK\r\n${DATE}${CHUNKED}\r\n3\r\nabc\r\n0\r\n\r\n`;
    expect(await answered(response, "0\r\n\r\n")).toBe(response);
  });
  test("B.15 no Transfer-Encoding on 204 and 1xx, and none to an HTTP/1.0 client", async () => {
    expect(await answered(`HTTP/1.1 204 No\r\n${DATE}${CHUNKED}\r\n`, "\r\n\r\n")).toBe(
      `HTTP/1.1 204 No\r\n${DATE}\r\n`,
    );
    const { client } = await stage(answerHead(`HTTP/1.1 200 OK\r\n${DATE}${CHUNKED}\r\n3\r\nabc\r\n0\r\n\r\n`));
    expect(await client().send("GET / HTTP/1.0\r\n\r\n").gone()).toBe(
      `HTTP/1.1 200 OK\r\n${DATE}Connection: close\r\n\r\nabc`,
    );
  });

  const bad: [id: string, request: string, status: string][] = [
    ["B.16 a coding in HTTP/1.0", `POST / HTTP/1.0\r\nHost: a\r\n${CHUNKED}\r\n0\r\n\r\n`, "400"],
    ["B.17 a length before a coding", post(`Content-Length: 5\r\n${CHUNKED}`, `0\r\n\r\n${HIDDEN}`), "400"],
    ["B.17 a length behind a coding", post(`${CHUNKED}Content-Length: 5\r\n`, `0\r\n\r\n${HIDDEN}`), "400"],
    ["B.19 chunked that is not last", post("Transfer-Encoding: chunked, identity\r\n", `0\r\n\r\n${HIDDEN}`), "400"],
    ["B.19 an unknown coding", post("Transfer-Encoding: br, chunked\r\n", `0\r\n\r\n${HIDDEN}`), "501"],
    ["B.20 two lengths that differ", post("Content-Length: 0\r\nContent-Length: 9\r\n", HIDDEN), "400"],
    ["B.20 a length with a sign", post("Content-Length: +0\r\n", HIDDEN), "400"],
    ["B.20 an empty length", post("Content-Length: \r\n", HIDDEN), "400"],
    ["B.23 a length of 2^64", post("Content-Length: 18446744073709551616\r\n", HIDDEN), "400"],
  ];
  test.each(bad)("%s: refused, closed, nothing goes on", async (_id, request, status) => {
    expect(await refused(request)).toEqual({ status, seen: "" });
  });

  const badChunks: [id: string, body: string][] = [
    ["B.23 a chunk size of 2^64", "10000000000000000\r\n"],
    ["B.23 a chunk size that is negative in 32 bits", "ffffffffffffffff\r\n"],
    ["B.24 an extension with a bare LF", "1;a\nb\r\nx\r\n"],
    ["B.24 extensions without end", `1;${"a".repeat(5000)}\r\nx\r\n`],
    ["B.14 a chunk that is followed by another octet than CR", "1\r\nxx\n"],
    ["B.14 a chunk without its CR LF", "1\r\nxx0\r\n\r\n"],
  ];
  test.each(badChunks)("%s: 400, and the backend gets no whole message", async (_id, body) => {
    const { status, seen } = await refused(post(CHUNKED, `${body}0\r\n\r\n${HIDDEN}`));
    expect(status).toBe("400");
    expect(seen).not.toContain("hidden");
    expect(seen).not.toEndWith("0\r\n\r\n");
  });

  const badResponses: [id: string, response: string][] = [
    ["B.17 both in the response", `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${CHUNKED}\r\n0\r\n\r\n`],
    ["B.20 two lengths in the response", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    ["B.20 a length that is no number in the response", "HTTP/1.1 200 OK\r\nContent-Length: 1,1\r\n\r\na"],
    ["B.16 a coding in an HTTP/1.0 response", `HTTP/1.0 200 OK\r\n${CHUNKED}\r\n0\r\n\r\n`],
    ["B.19 a coding that is not known in the response", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab"],
  ];
  test.each(badResponses)("%s: 502, and its backend connection goes", async (_id, response) => {
    const { client, backend } = await stage(answerHead(response));
    expect(await client().send(get()).gone()).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
    await backend.connections[0]!.gone();
  });

  test("B.21 a cut chunked response lacks its end", async () => {
    const head = `HTTP/1.1 200 OK\r\n${DATE}${CHUNKED}\r\n`;
    const { client } = await stage((end) => {
      end.send(`${head}5\r\nab`);
      end.socket!.shutdown();
    });
    expect(await client().send(get()).gone()).toBe(`${head}5\r\nab`);
  });
  test("B.21 a cut request body reaches the backend as cut, never as whole", async () => {
    const { client, backend } = await stage(() => {});
    const end = client().send(post(CHUNKED, "5\r\nab"));
    await (await backend.connection(0)).has("ab");
    end.stop();
    await backend.connections[0]!.gone();
    expect(backend.connections[0]!.got).toEndWith("5\r\nab");
  });

  const empty: [id: string, request: string, response: string][] = [
    [
      "B.22 B.27 HEAD keeps the length",
      get().replace("GET", "HEAD"),
      `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 5\r\n\r\n`,
    ],
    ["B.22 B.27 304 keeps the length", get(), `HTTP/1.1 304 Not Modified\r\n${DATE}Content-Length: 5\r\n\r\n`],
    ["B.22 204", get(), `HTTP/1.1 204 No Content\r\n${DATE}\r\n`],
  ];
  test.each(empty)("%s: no body is waited for, and the connection lives on", async (_id, request, response) => {
    const { client, backend } = await stage((end) => void (end.got.endsWith("\r\n\r\n") && end.send(response)));
    const end = client();
    await end.send(request).until(({ got }) => got === response);
    await end.send(request).until(({ got }) => got === response.repeat(2));
    expect(backend.connections).toHaveLength(1);
  });
  test("B.27 a 204 leaves without its Content-Length", async () => {
    expect(await answered(`HTTP/1.1 204 No\r\n${DATE}Content-Length: 0\r\n\r\n`, "\r\n\r\n")).toBe(
      `HTTP/1.1 204 No\r\n${DATE}\r\n`,
    );
  });
  test("B.22 a body behind a 304 is never the next response", async () => {
    const { client, backend } = await stage((end, index) =>
      end.send(index === 0 ? `HTTP/1.1 304 N\r\n${DATE}Content-Length: 99\r\n\r\nHTTP/1.1 200 Poison\r\n\r\n` : OK),
    );
    const end = client();
    await end.send(get()).has("304");
    await end.send(get()).has("ok");
    expect(end.got).not.toContain("Poison");
    expect(backend.connections).toHaveLength(2);
  });

  test("B.24 extensions end here, both ways", async () => {
    const sent = "3;a=b\r\nabc\r\n0;c\r\n\r\n";
    const clean = "3\r\nabc\r\n0\r\n\r\n";
    expect(await forwarded(post(CHUNKED, sent), "0\r\n\r\n")).toEndWith(`\r\n\r\n${clean}`);
    const head = `HTTP/1.1 200 OK\r\n${DATE}${CHUNKED}\r\n`;
    expect(await answered(`${head}${sent}`, clean)).toBe(`${head}${clean}`);
  });
  test("B.25 trailers pass behind the body; those that frame, route or authenticate do not", async () => {
    const sent = "0\r\nSum: 1\r\nContent-Length: 9\r\nHost: b\r\nCookie: c\r\n\r\n";
    expect(await forwarded(post(CHUNKED, sent), "0\r\nSum: 1\r\n\r\n")).toBe(
      `POST / HTTP/1.1\r\nHost: a\r\n${CHUNKED}${ADDED}0\r\nSum: 1\r\n\r\n`,
    );
  });
  test("B.26 TE ends here, also with chunked in it and without Connection", async () => {
    for (const fields of ["TE: trailers\r\n", "TE: chunked\r\nConnection: TE\r\n"])
      expect(await forwarded(get(fields))).toBe(`GET / HTTP/1.1\r\nHost: a\r\n${ADDED}`);
  });
});
