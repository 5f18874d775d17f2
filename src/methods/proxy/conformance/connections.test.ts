import { afterEach, describe, expect, test } from "bun:test";
import { answerHead, DATE, get, OK, post, stage, stopAll } from "./exchange.ts";

afterEach(stopAll);

const CLOSED = OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
/** Answers each request without a body once. */
const each = (end: { got: string; send(text: string): unknown; n?: number }): void => {
  const whole = end.got.split("\r\n\r\n").length - 1;
  for (end.n ??= 0; end.n < whole; end.n++) end.send(OK);
};

describe("connections", () => {
  test("C.28 bytes on a resting connection are no response: it goes, the next request gets another", async () => {
    const { client, backend } = await stage(each);
    const end = client();
    await end.send(get()).has("ok");
    backend.connections[0]!.send("HTTP/1.1 200 Poison\r\nContent-Length: 0\r\n\r\n");
    await backend.connections[0]!.gone();
    await end.send(get()).until(({ got }) => got === OK + OK);
    expect(backend.connections).toHaveLength(2);
  });
  test("C.29 a response before the request's end: the rest is read and sent on before the next request", async () => {
    const { client, backend } = await stage((end) => {
      if (end.got.endsWith("\r\n\r\nhe") || end.got.includes("/next")) end.send(OK);
    });
    const end = client().send(post("Content-Length: 5\r\n", "he"));
    await end.has("ok");
    end.send(`llo${get("", "/next")}`);
    await end.until(({ got }) => got === OK + OK);
    expect(backend.connections[0]!.got).toContain("\r\n\r\nhelloGET /next HTTP/1.1\r\n");
  });
  test("C.29 a backend connection whose response was not read whole is not used again", async () => {
    const { client, backend } = await stage((end, index) => {
      if (index === 0) end.send(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: 9\r\n\r\npart`);
      else end.send(OK);
    });
    const first = client().send(get());
    await first.has("part");
    first.stop();
    await backend.connections[0]!.gone();
    await client().send(get()).has("ok");
    expect(backend.connections).toHaveLength(2);
  });
  test("C.30 HTTP/1.0 with keep-alive: one response, then the end", async () => {
    const { client } = await stage(each);
    const request = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    expect(
      await client()
        .send(request + request)
        .gone(),
    ).toBe(CLOSED);
  });
  test("C.31 the second of two pipelined requests waits for the first response", async () => {
    const { client, backend } = await stage((end) => {
      if (end.got.includes("/2")) end.send(OK);
    });
    const end = client().send(get("", "/1") + get("", "/2"));
    const first = await backend.connection(0);
    await first.has("/1");
    first.send(OK);
    await end.until(({ got }) => got === OK + OK);
    expect(first.got.indexOf("/2")).toBeGreaterThan(first.got.indexOf("\r\n\r\n"));
  });
  test("C.32 close from the client: its later requests are not read", async () => {
    const { client, backend } = await stage(each);
    expect(
      await client()
        .send(get("Connection: close\r\n") + get("", "/hidden"))
        .gone(),
    ).toBe(CLOSED);
    expect(backend.connections[0]!.got).not.toContain("hidden");
    expect(backend.connections[0]!.got).not.toContain("close");
  });
  test("C.32 close from the backend: its connection is not used again, the client's is", async () => {
    const { client, backend } = await stage(answerHead(CLOSED));
    const end = client();
    await end.send(get()).until(({ got }) => got === OK);
    await end.send(get()).until(({ got }) => got === OK + OK);
    expect(backend.connections).toHaveLength(2);
  });

  const methods: [method: string, repeated: boolean][] = [
    ...["GET", "HEAD", "OPTIONS", "PUT", "DELETE"].map((name): [string, boolean] => [name, true]),
    ...["POST", "PATCH", "LOCK"].map((name): [string, boolean] => [name, false]),
  ];
  test.each(methods)("C.34 %s on a connection that went stale: repeated is %p", async (method, repeated) => {
    const { client, backend } = await stage((end, index) => {
      if (index === 0 && end.got.includes("/again")) end.stop();
      else end.send(OK);
    });
    const end = client();
    await end.send(get()).has("ok");
    const answers = await end
      .send(`${method} /again HTTP/1.1\r\nHost: a\r\n\r\n`)
      .until(({ got }) => got.length > OK.length + 12);
    expect(answers.slice(OK.length, OK.length + 12)).toBe(repeated ? "HTTP/1.1 200" : "HTTP/1.1 502");
    expect(backend.connections.filter(({ got }) => got.includes("/again"))).toHaveLength(repeated ? 2 : 1);
  });
  test("C.34 not after a byte of an answer", async () => {
    const { client, backend } = await stage((end) => {
      end.send("HTTP/1.1 2");
      end.socket!.shutdown();
    });
    expect(await client().send(get()).gone()).toStartWith("HTTP/1.1 502 ");
    expect(backend.connections).toHaveLength(1);
  });
});
