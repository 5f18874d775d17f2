import { afterEach, describe, expect, test } from "bun:test";
import { answered, answerHead, DATE, forwarded, get, OK, post, refused, stage, stopAll } from "./exchange.ts";

afterEach(stopAll);

const UPGRADE = "Connection: upgrade\r\nUpgrade: websocket\r\n";
const GO = "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";

describe("Expect, 1xx, Upgrade, CONNECT", () => {
  test("E.45 interim responses pass in order, without a Date of ours", async () => {
    const interim = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    expect(await answered(interim + OK, "ok")).toBe(interim + OK);
  });
  test("E.45 not to HTTP/1.0", async () => {
    const { client } = await stage(answerHead(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`));
    expect(await client().send("GET / HTTP/1.0\r\n\r\n").gone()).toBe(
      OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
    );
  });
  test("E.46 the expectation goes on before the body does", async () => {
    const { client, backend } = await stage((end) => {
      if (end.got.endsWith("hello")) end.send(OK);
      else if (end.got.endsWith("\r\n\r\n")) end.send("HTTP/1.1 100 Continue\r\n\r\n");
    });
    const end = client().send(post("Expect: 100-continue\r\nContent-Length: 5\r\n", ""));
    expect(await end.has("\r\n\r\n")).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    expect(backend.connections[0]!.got).toContain("\r\nExpect: 100-continue\r\n");
    expect(await end.send("hello").has("ok")).toBe(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
  });
  test("E.46 an expectation without content ends here", async () => {
    for (const fields of ["Expect: 100-continue\r\n", "Expect: 100-continue\r\nContent-Length: 0\r\n"])
      expect(await forwarded(get(fields))).not.toContain("Expect");
  });
  test("E.46 another expectation: 417; of an HTTP/1.0 client: ignored and not sent on", async () => {
    expect(await refused(get("Expect: 200-ok\r\n"))).toEqual({ status: "417", seen: "" });
    expect(await forwarded("GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")).not.toContain("Expect");
  });
  test("E.46 a final answer to an expectation: what follows is not a request", async () => {
    const { client, backend } = await stage(answerHead("HTTP/1.1 413 No\r\nDate: x\r\nContent-Length: 0\r\n\r\n"));
    const end = client().send(post("Expect: 100-continue\r\nContent-Length: 33\r\n", ""));
    expect(await end.gone()).toBe("HTTP/1.1 413 No\r\nDate: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    end.send(get("", "/hidden"));
    await backend.connections[0]!.gone();
    expect(backend.connections.map(({ got }) => got).join("")).not.toContain("hidden");
  });
  test("E.47 an offer goes on only from HTTP/1.1, nominated, for a known protocol", async () => {
    expect(await forwarded(get(UPGRADE))).toEndWith("\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
    for (const request of [
      get("Upgrade: websocket\r\n"),
      get(UPGRADE.replace("websocket", "h2c")),
      get(UPGRADE.replace("websocket", "websocket, x")),
      `GET / HTTP/1.0\r\nHost: a\r\n${UPGRADE}\r\n`,
    ])
      expect(await forwarded(request)).not.toMatch(/upgrade/i);
  });
  test("E.47 no tunnel without the backend's 101: early bytes are the next request", async () => {
    const { client, backend } = await stage((end) => {
      if (end.got.includes("/next")) end.send(OK);
      else if (end.got.endsWith("\r\n\r\n")) end.send("HTTP/1.1 200 No\r\nDate: x\r\nContent-Length: 0\r\n\r\n");
    });
    await client()
      .send(get(UPGRADE) + get("", "/next"))
      .has("ok");
    expect(backend.connections.map(({ got }) => got).join("")).toContain(
      "GET /next HTTP/1.1\r\nHost: a\r\nX-Forwarded-",
    );
  });
  test("E.47 101 with another protocol, unasked, or in HTTP/1.0: 502", async () => {
    for (const [request, response] of [
      [get(UPGRADE), GO.replace("websocket", "x")],
      [get(), GO],
      // HTTP/1.0 knows neither 1xx nor Upgrade (RFC 9110 15.2, 7.8).
      [get(UPGRADE), GO.replace("1.1", "1.0")],
    ]) {
      const { client } = await stage(answerHead(response!));
      expect(await client().send(request!).gone()).toStartWith("HTTP/1.1 502 ");
    }
  });
  const connects = ["a:", "a", "a:0", "a:99999", "a:x", ":80"];
  test.each(connects)("E.48 CONNECT %s: 400", async (target) => {
    expect(await refused(`CONNECT ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)).toEqual({ status: "400", seen: "" });
  });
  test("E.48 CONNECT with a good port is not offered: 501", async () => {
    expect(await refused("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n")).toEqual({ status: "501", seen: "" });
  });
  test("E.48 in a tunnel what one side sent arrives before its end does", async () => {
    const { client } = await stage((end) => {
      if (!end.got.endsWith("\r\n\r\n")) return;
      end.send(`${GO}last words`);
      end.socket!.shutdown();
    });
    const end = client().send(get(UPGRADE));
    expect(await end.gone()).toBe(`${GO}last words`);
  });

  const statuses: [status: string, fields: string][] = [
    ["401", "WWW-Authenticate: Basic\r\n"],
    ["405", "Allow: GET\r\n"],
    ["407", "Proxy-Authenticate: Basic\r\n"],
    ["421", ""],
  ];
  test.each(statuses)("E.49 %s passes as the backend sent it", async (status, fields) => {
    const response = `HTTP/1.1 ${status} Its own words\r\n${DATE}${fields}Content-Length: 2\r\n\r\nok`;
    expect(await answered(response, "ok")).toBe(response);
  });
  test("E.49 426 keeps its Upgrade", async () => {
    const sent = `HTTP/1.1 426 Up\r\n${DATE}Upgrade: tls\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nok`;
    expect(await answered(sent, "ok")).toBe(
      `HTTP/1.1 426 Up\r\n${DATE}Upgrade: tls\r\nContent-Length: 2\r\nConnection: upgrade\r\n\r\nok`,
    );
  });
  test("E.49 426 keeps its Upgrade before a close too, and names in Connection only what is there", async () => {
    const { client } = await stage(answerHead(`HTTP/1.1 426 Up\r\n${DATE}Upgrade: tls\r\nContent-Length: 0\r\n\r\n`));
    expect(await client().send(get("Connection: close\r\n")).gone()).toBe(
      `HTTP/1.1 426 Up\r\n${DATE}Upgrade: tls\r\nContent-Length: 0\r\nConnection: close, upgrade\r\n\r\n`,
    );
    const plain = `HTTP/1.1 426 Up\r\n${DATE}Content-Length: 2\r\n\r\nok`;
    expect(await answered(plain, "ok")).toBe(plain);
  });
  test("E.50 our own answers to HEAD have no content", async () => {
    const { client } = await stage((end) => end.stop());
    const got = await client().send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").gone();
    expect(got).toStartWith("HTTP/1.1 502 ");
    expect(got).toMatch(/\r\nContent-Length: [1-9]\d*\r\n/);
    expect(got).toEndWith("\r\n\r\n");
    expect(got.indexOf("\r\n\r\n")).toBe(got.length - 4);
  });
  const heads = [
    "HEAD / HTTP/1.1\r\n\r\n",
    "\r\nHEAD / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
    `HEAD /${"a".repeat(9000)} HTTP/1.1\r\n`,
    "HEAD / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
  ];
  test.each(heads)("E.50 nor has the refusal of a HEAD whose head is wrong", async (request) => {
    const { client } = await stage(() => {});
    const got = await client().send(request).gone();
    expect(got).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(got).toMatch(/\r\nContent-Length: [1-9]\d*\r\n/);
    expect(got.indexOf("\r\n\r\n")).toBe(got.length - 4);
  });
  test("E.50 a 205 has no content, whatever the backend sends behind it, and says so", async () => {
    const framings = [
      "Content-Length: 2\r\n\r\nok",
      "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      "\r\nok",
    ];
    for (const framing of framings) {
      const { client, backend } = await stage(answerHead(`HTTP/1.1 205 Reset\r\n${DATE}${framing}`));
      const end = client().send(get());
      const first = await end.has("\r\n\r\n");
      expect(first).toBe(`HTTP/1.1 205 Reset\r\n${DATE}Content-Length: 0\r\n\r\n`);
      await backend.connections[0]!.gone();
      end.send(get("Connection: close\r\n"));
      expect(await end.gone()).toBe(`${first}${first.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")}`);
    }
  });
  test("E.50 a 205 without content keeps its backend connection", async () => {
    const reset = `HTTP/1.1 205 Reset\r\n${DATE}Content-Length: 0\r\n\r\n`;
    const { client, backend } = await stage((end) => void end.send(reset));
    const end = client().send(get());
    await end.has("\r\n\r\n");
    expect(await end.send(get()).until(({ got }) => got.length > reset.length)).toBe(reset + reset);
    expect(backend.connections).toHaveLength(1);
  });
  test("E.50 bytes that a backend sends behind a HEAD's answer do not reach the client", async () => {
    const { client } = await stage(answerHead(OK));
    const end = client();
    const head = OK.slice(0, -2);
    await end.send(get("Connection: close\r\n").replace("GET", "HEAD")).gone();
    expect(end.got).toBe(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  });
});
