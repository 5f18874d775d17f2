import { afterEach, describe, expect, test } from "bun:test";
import { ADDED, answered, DATE, forwarded, get, OK, post, refused, stage, stopAll } from "./exchange.ts";

afterEach(stopAll);

/** What a GET with these fields is sent on as, without the lines that every request has. */
const passed = async (fields: string): Promise<string> =>
  (await forwarded(get(fields))).replace("GET / HTTP/1.1\r\nHost: a\r\n", "").replace(ADDED, "");

describe("fields on the way, byte for byte", () => {
  test("D.35 what Connection names ends here, and the hop-by-hop fields without being named", async () => {
    expect(
      await passed(
        "A: 1\r\nConnection: a, close2\r\nClose2: x\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nUpgrade: z\r\nB: 2\r\na: 3\r\n",
      ),
    ).toBe("B: 2\r\n");
  });
  test("D.35 Connection cannot take Host, Content-Length, Authorization, Cookie or X-Forwarded-*", async () => {
    const fields = "Connection: host, content-length, authorization, cookie, x-forwarded-for, via\r\n";
    const kept = "Authorization: x\r\nCookie: y\r\nContent-Length: 2\r\n";
    expect(await forwarded(post(fields + kept, "ab"), "ab")).toBe(`POST / HTTP/1.1\r\nHost: a\r\n${kept}${ADDED}ab`);
  });
  test("D.35 the same on the way back", async () => {
    const sent = `HTTP/1.1 200 OK\r\n${DATE}A: 1\r\nConnection: a\r\nKeep-Alive: 5\r\nB: 2\r\nContent-Length: 2\r\n\r\nok`;
    expect(await answered(sent, "ok")).toBe(`HTTP/1.1 200 OK\r\n${DATE}B: 2\r\nContent-Length: 2\r\n\r\nok`);
  });
  test("D.35 trailers that Connection names end here too, both ways", async () => {
    const body = (trailers: string): string => `Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${trailers}\r\n`;
    const names = "Connection: x-hop, close2\r\n";
    const got = await forwarded(
      `POST / HTTP/1.1\r\nHost: a\r\n${names}${body("X-Hop: 1\r\nSum: 2\r\n")}`,
      "Sum: 2\r\n\r\n",
    );
    expect(got).toEndWith("0\r\nSum: 2\r\n\r\n");
    const back = `HTTP/1.1 200 OK\r\n${DATE}${names}${body("Close2: 1\r\nSum: 2\r\n")}`;
    expect(await answered(back, "Sum: 2\r\n\r\n")).toBe(`HTTP/1.1 200 OK\r\n${DATE}${body("Sum: 2\r\n")}`);
  });
  test("D.36 Max-Forwards: counted down for OPTIONS, left alone elsewhere, never added", async () => {
    expect(await forwarded("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n")).toBe(
      `OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 9\r\n${ADDED}`,
    );
    expect(await passed("Max-Forwards: 10\r\n")).toBe("Max-Forwards: 10\r\n");
    expect(await forwarded("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n")).not.toContain("Max-Forwards");
  });
  test("D.36 OPTIONS with Max-Forwards 0 never reaches the backend", async () => {
    const { client, backend } = await stage(() => {});
    const got = await client().send("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n").has("\r\n\r\n");
    expect(got).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(backend.connections).toHaveLength(0);
  });
  test("D.37 Via is a line of its own behind the client's", async () => {
    expect(await forwarded(get("Via: 1.0 x, 1.1 y\r\n"))).toBe(
      `GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 x, 1.1 y\r\n${ADDED}`,
    );
  });
  test("D.38 a request that came through here five times: 508, not forwarded", async () => {
    expect(await refused(get("Via: 1.1 sluice\r\n".repeat(5)))).toEqual({ status: "508", seen: "" });
  });
  test("D.39 fields pass as they were written: case, order, inner and empty values; none are joined", async () => {
    const fields = "x-ODD: a  b\r\nA:1\r\nSet-Cookie: 1\r\nB:\r\na: 2\r\nSet-Cookie: 2\r\n";
    expect(await passed(fields)).toBe(fields);
    const response = `HTTP/1.1 200 OK\r\n${DATE}${fields}Content-Length: 2\r\n\r\nok`;
    expect(await answered(response, "ok")).toBe(response);
  });
  const targets = ["/a/../b//c/%2e%2e/d", "/%2F%00%ff", "/?a=b&&c==#".slice(0, -1), "//x/y", "/a;b,c", "/*"];
  test.each(targets)("D.40 the target %s is not touched", async (target) => {
    expect(await forwarded(get("", target))).toStartWith(`GET ${target} HTTP/1.1\r\n`);
  });
  test("D.40 the host is not touched; content passes, also under no-transform", async () => {
    expect(await forwarded("GET / HTTP/1.1\r\nHost: WWW.example.COM.:080\r\n\r\n")).toContain(
      "\r\nHost: WWW.example.COM.:080\r\n",
    );
    const response = `HTTP/1.1 200 OK\r\n${DATE}Cache-Control: no-transform\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\0\xff`;
    expect(await answered(response, "\0\xff")).toBe(response);
  });
  test("D.41 a response without Date gets one", async () => {
    const got = await answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok");
    expect(got).toMatch(/^HTTP\/1.1 200 OK\r\nContent-Length: 2\r\nDate: [A-Z][a-z]{2}, .* GMT\r\n\r\nok$/);
  });
  test("D.42 Allow, WWW-Authenticate, Vary and Authorization pass as they are", async () => {
    const lines = 'Allow: GET,  X\r\nWWW-Authenticate: Basic realm="a", Bearer\r\nVary: *\r\n';
    const response = `HTTP/1.1 200 OK\r\n${DATE}${lines}Content-Length: 2\r\n\r\nok`;
    expect(await answered(response, "ok")).toBe(response);
    const fields = "Authorization: Basic eDp5\r\nProxy-Authorization: z\r\n";
    expect(await passed(fields)).toBe(fields);
  });
  test("D.43 conditions, ranges and cache directives pass; nothing is answered from memory", async () => {
    const fields =
      'If-None-Match: "x"\r\nIf-Modified-Since: y\r\nRange: bytes=0-1\r\nCache-Control: only-if-cached\r\nPragma: no-cache\r\n';
    expect(await passed(fields)).toBe(fields);
    const { client, backend } = await stage((end) => void (end.got.endsWith("\r\n\r\n") && end.send(OK)));
    const end = client();
    await end.send(get()).has("ok");
    await end.send(get()).until(({ got }) => got === OK + OK);
    expect(backend.connections[0]!.got.split("GET").length - 1).toBe(2);
  });
  test.each(["GET", "HEAD", "DELETE"])("D.44 the content of %s passes with its framing", async (method) => {
    const length = `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n`;
    const chunked = `${method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n`;
    const body = "5\r\nhello\r\n0\r\n\r\n";
    const seen = async (request: string, last: string): Promise<string> => {
      const { client, backend } = await stage((end) => void (end.got.endsWith(last) && end.send(OK)));
      await client().send(request).has("HTTP/1.1 200 OK");
      return backend.connections[0]!.got;
    };
    expect(await seen(`${length}\r\nhello`, "hello")).toBe(`${length}${ADDED}hello`);
    expect(await seen(`${chunked}\r\n${body}`, body)).toBe(`${chunked}${ADDED}${body}`);
  });
});
