import { afterEach, describe, expect, test } from "bun:test";
import type { End } from "../../../relay/testing.ts";
import { ADDED, answerHead, DATE, forwarded, get, OK, post, refused, stage, stopAll } from "./exchange.ts";

afterEach(stopAll);

/** The attack classes by the names that they go by, before a lenient backend, on the exact bytes that it gets. */

const CHUNKED = "Transfer-Encoding: chunked\r\n";
const END = "0\r\n\r\n";
const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
const smuggled = (fields: string): string => post(fields, END + HIDDEN);
const POST = `POST / HTTP/1.1\r\nHost: a\r\n`;

describe("refused: not a byte reaches the backend", () => {
  const attacks: [attack: string, request: string, status: string][] = [
    ["CL.TE", smuggled(`Content-Length: ${END.length + HIDDEN.length}\r\n${CHUNKED}`), "400"],
    ["TE.CL", smuggled(`${CHUNKED}Content-Length: 5\r\n`), "400"],
    ...[
      `${CHUNKED}Transfer-Encoding: identity\r\n`,
      CHUNKED + CHUNKED,
      "Transfer-Encoding: chunked, chunked\r\n",
      "Transfer-Encoding: chunked, identity\r\n",
      "Transfer-Encoding: ,chunked\r\n",
      "Transfer-Encoding: chunked,\r\n",
      "Transfer-Encoding: xchunked\r\n",
      'Transfer-Encoding: "chunked"\r\n',
      "Transfer-Encoding: \x0bchunked\r\n",
      "Transfer-Encoding: chunked\0\r\n",
      "Transfer-Encoding : chunked\r\n",
      "Transfer-Encoding:\r\n chunked\r\n",
      "X: y\nTransfer-Encoding: chunked\r\n",
      "X: y\rTransfer-Encoding: chunked\r\n",
      "Transfer-Encoding\xa0: chunked\r\n",
    ].map((fields): [string, string, string] => [`TE.TE ${JSON.stringify(fields)}`, smuggled(fields), "400"]),
    ["TE.TE with an unknown coding before it", smuggled("Transfer-Encoding: gzip, chunked\r\n"), "501"],
    ["TE.0 in HTTP/1.0", smuggled(CHUNKED).replace("HTTP/1.1", "HTTP/1.0"), "400"],
    ["CL.CL", post("Content-Length: 0\r\nContent-Length: 33\r\n", HIDDEN), "400"],
    ["CL.CL in a list", post("Content-Length: 0, 33\r\n", HIDDEN), "400"],
    ...["+0", "-0", "0x0", "0_0", "0 0", "", "0;", "18446744073709551616"].map((length): [string, string, string] => [
      `CL.0 with the length ${JSON.stringify(length)}`,
      post(`Content-Length: ${length}\r\n`, HIDDEN),
      "400",
    ]),
    ["0.CL by folding", post(`Content-Length:\r\n ${HIDDEN.length}\r\n`, HIDDEN), "400"],
    ["0.CL by a space before the colon", post(`Content-Length : ${HIDDEN.length}\r\n`, HIDDEN), "400"],
    ["request splitting by a bare LF in the target", `GET /\nHost: evil HTTP/1.1\r\nHost: a\r\n\r\n`, "400"],
    ["request splitting by a bare CR in a value", get("X: y\r\rGET /hidden HTTP/1.1\r\r\n"), "400"],
    ["a NUL in a value", get("X: y\0\r\n"), "400"],
    ["obs-fold", get("X: y\r\n\tz\r\n"), "400"],
    ["duplicate Host", get("Host: evil\r\n"), "400"],
    ["Host and path in one", "GET / HTTP/1.1\r\nHost: a/hidden?\r\n\r\n", "400"],
    ["user information in an absolute target", get("").replace("GET /", "GET http://a@evil/"), "400"],
    ["Expect of another kind", post("Expect: 100-continued\r\nContent-Length: 33\r\n", HIDDEN), "417"],
    ["CONNECT to the inside", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n", "501"],
    ["HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"],
  ];
  test.each(attacks)("%s", async (_attack, request, status) =>
    expect(await refused(request)).toEqual({ status, seen: "" }),
  );
});

describe("chunk tricks: the backend gets the head and no end", () => {
  const sizes = ["0x0", "+0", "-0", "0_0", " 0", "0 ", "\r\n0", "00000000000000000", "10000000000000000", "g"];
  const attacks: [attack: string, body: string, passed: string][] = [
    ...sizes.map((size): [string, string, string] => [`size ${JSON.stringify(size)}`, `${size}\r\n\r\n${HIDDEN}`, ""]),
    ["LF behind a size", `0\n\r\n${HIDDEN}`, ""],
    ["CR behind a size", `0\r\r\n${HIDDEN}`, ""],
    ["LF in an extension", `0;\n\r\n${HIDDEN}`, ""],
    ["CR in an extension", `0;a\rb\r\n\r\n${HIDDEN}`, ""],
    ["NUL in an extension", `0;\0\r\n\r\n${HIDDEN}`, ""],
    ["an extension without end", `0;${"a".repeat(5000)}\r\n\r\n${HIDDEN}`, ""],
    ["a trailer with a bare LF", `0\r\nX: y\nZ: z\r\n\r\n${HIDDEN}`, ""],
    ["a request in the trailers' place", `0\r\n${HIDDEN}`, ""],
  ];
  test.each(attacks)("%s", async (_attack, body, passed) => {
    const { status, seen } = await refused(post(CHUNKED, `3\r\nabc\r\n${body}`));
    expect(status).toBe("400");
    expect(["", `${POST}${CHUNKED}${ADDED}${passed}`]).toContain(seen);
  });
});

describe("read in one way only, and passed on as that", () => {
  const attacks: [attack: string, request: string, passed: string][] = [
    [
      "CL.0: a GET with content",
      `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
      `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n${ADDED}${HIDDEN}`,
    ],
    ["chunk extensions", post(CHUNKED, `3;a="0\\r"\r\nabc\r\n${END}`), `${POST}${CHUNKED}${ADDED}3\r\nabc\r\n${END}`],
    ["aliased framing", get("Transfer_Encoding: chunked\r\nContent.Length: 9\r\n"), `${get().slice(0, -2)}${ADDED}`],
    ["aliased address", get("X_Forwarded_For: 6.6.6.6\r\nX.Forwarded.For: 6\r\n"), `${get().slice(0, -2)}${ADDED}`],
    ["forged address", get("X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6\r\n"), `${get().slice(0, -2)}${ADDED}`],
    ["httpoxy", get("Proxy: http://evil/\r\n"), `${get().slice(0, -2)}${ADDED}`],
    [
      "stripping by Connection",
      get("Connection: host, cookie\r\nCookie: c\r\n"),
      `${get("Cookie: c\r\n").slice(0, -2)}${ADDED}`,
    ],
    [
      "h2c smuggling",
      get("Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
      `${get().slice(0, -2)}${ADDED}`,
    ],
    [
      "absolute-form over Host",
      get("").replace("GET /", "GET http://b/"),
      `${get().replace("Host: a", "Host: b").slice(0, -2)}${ADDED.replace("Host: a", "Host: b")}`,
    ],
    [
      "encoded dots and slashes",
      get("", "/a/../b//c/%2e%2e/%2f%00"),
      `${get("", "/a/../b//c/%2e%2e/%2f%00").slice(0, -2)}${ADDED}`,
    ],
  ];
  test.each(attacks)("%s", async (_attack, request, passed) =>
    expect(await forwarded(request, passed.slice(-8))).toBe(passed),
  );

  test("an upgrade beside content is not offered on (premature tunnel)", async () => {
    const fields = "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n";
    expect(await forwarded(post(fields, "hello"), "hello")).toBe(`${POST}Content-Length: 5\r\n${ADDED}hello`);
  });

  test("Expect desync: behind a final answer in place of 100, the body is never the next request", async () => {
    const { client, backend } = await stage(answerHead(`HTTP/1.1 200 No\r\n${DATE}Content-Length: 0\r\n\r\n`));
    const end = client().send(post(`Expect: 100-continue\r\nContent-Length: ${HIDDEN.length}\r\n`, ""));
    await end.gone();
    end.send(HIDDEN);
    await backend.connections[0]!.gone();
    const fields = `Expect: 100-continue\r\nContent-Length: ${HIDDEN.length}\r\n`;
    expect(backend.connections.map(({ got }) => got)).toEqual([`${POST}${fields}${ADDED}`]);
  });

  test("pause-based desync: a body that stops is cut with 408, and what comes then is no request", async () => {
    const { client, backend } = await stage(() => {}, { timeouts: { body: "100ms" } });
    const end = client().send(post("Content-Length: 40\r\n", "GET /"));
    expect(await end.gone()).toStartWith("HTTP/1.1 408 ");
    end.send(HIDDEN);
    await backend.connections[0]!.gone();
    expect(backend.connections.map(({ got }) => got)).toEqual([`${POST}Content-Length: 40\r\n${ADDED}GET /`]);
  });
});

describe("a hostile backend: the next client gets its own answer", () => {
  const POISON = "HTTP/1.1 200 Poison\r\nContent-Length: 6\r\n\r\npoison";
  const head = (status: string, fields: string): string => `HTTP/1.1 ${status}\r\n${DATE}${fields}\r\n`;
  const attacks: [attack: string, response: string, got: string, method?: string][] = [
    ["a second response behind a length", `${head("200 OK", "Content-Length: 2\r\n")}ok${POISON}`, "ok"],
    [
      "a second response behind the last chunk",
      `${head("200 OK", CHUNKED)}2\r\nok\r\n${END}${POISON}`,
      `2\r\nok\r\n${END}`,
    ],
    ["behind a 304", head("304 N", "Content-Length: 49\r\n") + POISON, ""],
    ["behind a 204", head("204 N", "") + POISON, ""],
    ["behind the answer to HEAD", head("200 OK", "Content-Length: 49\r\n") + POISON, "", "HEAD"],
  ];
  test.each(attacks)("queue poisoning: %s", async (_attack, response, body, method = "GET") => {
    const { client, backend } = await stage((end: End, index) => end.send(index === 0 ? response : OK));
    const [first, second] = [client(), client()];
    const whole = `${response.slice(0, response.indexOf("\r\n\r\n") + 4)}${body}`;
    await first.send(get().replace("GET", method)).until(({ got }) => got.length >= whole.length);
    expect(first.got).toBe(whole);
    await second.send(get()).until(({ got }) => got === OK);
    await first.send(get()).until(({ got }) => got === whole + OK);
    expect(backend.connections[0]!.got.split("\r\n\r\n")).toHaveLength(2);
  });

  const splits: [attack: string, response: string][] = [
    ["a bare LF", `HTTP/1.1 200 OK\r\nX: y\nSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n`],
    ["a bare CR", `HTTP/1.1 200 OK\r\nX: y\rSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n`],
    ["a NUL", `HTTP/1.1 200 OK\r\nX: y\0\r\nContent-Length: 0\r\n\r\n`],
    ["a bare CR in the reason", `HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n`],
    ["both framings", `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${CHUNKED}\r\n0\r\n\r\n${POISON}`],
    ["a 101 that nobody asked for", `HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n${POISON}`],
    ["interim responses without end", "HTTP/1.1 102 P\r\n\r\n".repeat(40)],
  ];
  test.each(splits)("response splitting: %s: 502 and nothing of it", async (_attack, response) => {
    const { client } = await stage(answerHead(response));
    const got = await client().send(get()).gone();
    const final = got.slice(got.indexOf("HTTP/1.1 502 "));
    expect(got.slice(0, -final.length).replaceAll("HTTP/1.1 102 P\r\n\r\n", "")).toBe("");
    expect(final).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
    expect(final).not.toMatch(/evil|poison/i);
    expect(final).toContain("Sluice-Reason: SLUICE_BACKEND_PROTOCOL\r\n");
  });
});
