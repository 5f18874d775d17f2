import { describe, expect, test } from "bun:test";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, answering, type End, RawBackend, type Served, serveOne } from "../../relay/testing.ts";
import { sleep } from "../../runtime/clock.ts";
import { proxy } from "./index.ts";

const { cleanup, client } = httpStage(proxy);

const DATE = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
const OK = `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 2\r\n\r\nok`;
const ADDED = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\nVia: 1.1 sluice\r\n\r\n";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async function setUp(serve: (end: End, index: number) => void, options: object = {}): Promise<[Served, RawBackend]> {
  const backend = new RawBackend(serve);
  const served = await serveOne(proxy, [aBackend(0, backend.port)], options);
  cleanup.push(() => backend.stop(), served.stop);
  return [served, backend];
}
/** Sends `request` to a backend that answers with `response`; what the client gets until `has`. */
async function exchange(request: string, response: string, has: string): Promise<[string, string]> {
  const [served, backend] = await setUp((end) => {
    if (end.got.includes("\r\n\r\n")) end.send(response);
  });
  const got = await client(served).send(request).has(has);
  return [got, (await backend.connection(0)).got];
}

test("a GET goes to the backend with Via and X-Forwarded-*, and its response comes back (A.4, D.37)", async () => {
  const [got, seen] = await exchange("GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", OK, "ok");
  expect(got).toBe(OK);
  expect(seen).toBe(`GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n${ADDED}`);
});

test("both connections are kept and used again, and counted", async () => {
  const [served, backend] = await setUp(answering(OK));
  const end = client(served);
  for (let i = 1; i <= 3; i++) {
    end.send(GET);
    await end.until(({ got }) => got === OK.repeat(i));
  }
  expect(backend.connections.length).toBe(1);
  const counts = ["-1/connections", "-1/requests", "-1/active", "0/active", "0/connections", "0/requests"];
  expect(counts.map(served.count)).toEqual([1, 3, 0, 0, 1, 3]);
  expect(served.count("-1/bytesOut")).toBe(3 * OK.length);
});

test("C.31 pipelined requests are answered in order, one after the other", async () => {
  const [served, backend] = await setUp((end) => {
    const asked = end.got.split("\r\n\r\n").length - 1;
    const name = end.got[end.got.lastIndexOf("GET") + 5];
    if (asked > 0) end.send(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: 2\r\n\r\n#${name}`);
  });
  const end = client(served).send([1, 2, 3].map((i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
  const got = await end.has("#3");
  expect(got.match(/#\d/g)).toEqual(["#1", "#2", "#3"]);
  expect(backend.connections.length).toBe(1);
});

test("a message that comes octet by octet is the same message, both ways", async () => {
  const dripping = async (end: End, text: string) => {
    for (const octet of text) {
      end.send(octet);
      await sleep(0);
    }
  };
  const response = `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n`;
  const [served, backend] = await setUp((end) => {
    if (end.got.endsWith("0\r\n\r\n")) dripping(end, response);
  });
  const end = client(served);
  await end.until(({ socket }) => socket !== null);
  const head = "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
  await dripping(end, `${head}\r\n2\r\nhi\r\n0\r\n\r\n`);
  expect(await end.has("T: 1\r\n\r\n")).toBe(response);
  expect(backend.connections[0]!.got).toBe(`${head}${ADDED}2\r\nhi\r\n0\r\n\r\n`);
});

test("a bad request behind a good one is refused in its turn", async () => {
  const [served] = await setUp(answering(OK));
  const got = await client(served).send(`${GET}GET / HTTP/1.1\r\n\r\n`).gone();
  expect(got).toStartWith(`${OK}HTTP/1.1 400 Bad Request\r\n`);
});

test("D.44 the body of a GET is passed on with its length", async () => {
  const [, seen] = await exchange("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", OK, "ok");
  expect(seen).toBe(`GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n${ADDED}hello`);
});

test("a chunked request passes chunk by chunk, without extensions, with trailers (B.24, B.25)", async () => {
  const [served, backend] = await setUp((end) => {
    if (end.got.includes("T: 1\r\n\r\n")) end.send(OK);
  });
  const end = client(served).send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n");
  await (await backend.connection(0)).has("hello");
  await end.send("0\r\nT: 1\r\n\r\n").has("ok");
  expect(backend.connections[0]!.got).toBe(
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${ADDED}5\r\nhello\r\n0\r\nT: 1\r\n\r\n`,
  );
});

describe("responses", () => {
  test("B.22 HEAD: the length stays, no body follows, the connection lives on", async () => {
    const head = `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 5\r\n\r\n`;
    const [served, backend] = await setUp((end) => void end.send(end.got.endsWith("\r\n\r\n") ? head : ""));
    const end = client(served);
    await end.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").until(({ got }) => got === head);
    await end.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").until(({ got }) => got === head.repeat(2));
    expect(backend.connections.length).toBe(1);
  });
  test("E.45 1xx pass to HTTP/1.1 clients", async () => {
    const early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    expect((await exchange(GET, `HTTP/1.1 100 Continue\r\n\r\n${early}${OK}`, "ok"))[0]).toBe(
      `HTTP/1.1 100 Continue\r\n\r\n${early}${OK}`,
    );
  });
  test("E.45 B.15 C.30 an HTTP/1.0 client gets no 1xx, no chunks, and the end by close", async () => {
    const chunked = `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`;
    const [served] = await setUp((end) => {
      if (end.got.includes("\r\n\r\n")) end.send(`HTTP/1.1 103 E\r\n\r\n${chunked}`);
    });
    const got = await client(served).send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").gone();
    expect(got).toBe(`HTTP/1.1 200 OK\r\n${DATE}Connection: close\r\n\r\nabcde`);
  });
  test("chunked with trailers passes", async () => {
    const chunked = `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\n\r\n`;
    expect((await exchange(GET, chunked, "Sum: 1\r\n\r\n"))[0]).toBe(chunked);
  });
  test("a response that ends by close ends by close", async () => {
    const [served] = await setUp((end) => {
      end.send(`HTTP/1.0 200 OK\r\n${DATE}\r\nall of it`);
      end.socket!.shutdown();
    });
    const got = await client(served).send(GET).gone();
    expect(got).toBe(`HTTP/1.1 200 OK\r\n${DATE}Connection: close\r\n\r\nall of it`);
  });
  test("B.21 a cut response ends without looking whole", async () => {
    const [served] = await setUp((end) => {
      end.send(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: 100\r\n\r\npart`);
      end.socket!.shutdown();
    });
    const end = client(served).send(GET);
    expect(await end.gone()).toEndWith("\r\n\r\npart");
    expect(served.observed).toEqual(["0 SLUICE_BACKEND_CLOSED"]);
    expect(served.count("-1/errors")).toBe(1);
  });
  test("C.28 bytes behind a response are never the next response", async () => {
    const [served, backend] = await setUp(
      (end) => void end.send(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`),
    );
    const end = client(served);
    await end.send(GET).has("ok");
    await end.send(GET).until(({ got }) => got === OK.repeat(2));
    expect(backend.connections.length).toBe(2);
  });
  const bad: [string, string][] = [
    ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["no HTTP", "hello\r\n\r\n"],
    ["101 that nobody asked for", "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"],
    ["an endless head", `HTTP/1.1 200 OK\r\nA: ${"a".repeat(70_000)}`],
  ];
  test.each(bad)("%s: 502 with a reason", async (_what, response) => {
    const [served] = await setUp((end) => void end.send(response));
    const got = await client(served).send(GET).gone();
    expect(got).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
    expect(got).toContain("Sluice-Reason: SLUICE_BACKEND_PROTOCOL\r\n");
    expect(got).toContain("\r\n\r\nSLUICE_BACKEND_PROTOCOL: ");
    expect(served.observed).toEqual(["0 SLUICE_BACKEND_PROTOCOL"]);
  });
});

describe("Expect: 100-continue (E.46)", () => {
  const POST = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  test("goes on, the backend's 100 comes back, then the body goes", async () => {
    const [served] = await setUp((end) => {
      if (end.got.endsWith("hello")) end.send(OK);
      else end.send("HTTP/1.1 100 Continue\r\n\r\n");
    });
    const end = client(served).send(POST);
    expect(await end.has("\r\n\r\n")).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    await end.send("hello").has("ok");
  });
  test("a final answer without the body closes both sides: what follows could be either", async () => {
    const [served, backend] = await setUp((end) => void end.send(OK));
    const end = client(served).send(POST);
    const got = await end.gone();
    expect(got).toBe(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    await (await backend.connection(0)).gone();
  });
});

describe("what is ambiguous never reaches a backend (attack classes)", () => {
  const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
  const cases: [string, string][] = [
    [
      "CL.TE",
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      "TE.TE",
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    ["TE with a tab", `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked, x\r\n\r\n0\r\n\r\n${smuggled}`],
    ["two lengths", `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n${smuggled}`],
    ["bare LF", `GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n${smuggled}`],
    ["obs-fold", `POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 40\r\n\r\n${smuggled}`],
    ["NUL", `GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n${smuggled}`],
    ["duplicate Host", `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${smuggled}`],
  ];
  test.each(cases)("%s: refused, closed, nothing sent on", async (_what, request) => {
    const [served, backend] = await setUp(answering(OK));
    const got = await client(served).send(request).gone();
    expect(got).toStartWith("HTTP/1.1 400 Bad Request\r\n");
    expect(got).toContain("Connection: close\r\n");
    expect(got.match(/HTTP\/1.1/g)!.length).toBe(1);
    expect(backend.connections.length).toBe(0);
  });
  test("a chunk size that overflows: the backend gets no whole message, the smuggled request never", async () => {
    const [served, backend] = await setUp(() => {});
    const request = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10000000000000000\r\n${smuggled}`;
    const got = await client(served).send(request).gone();
    expect(got).toStartWith("HTTP/1.1 400");
    const seen = backend.connections[0]?.got ?? "";
    expect(seen).not.toContain("admin");
    expect(seen).not.toContain("0\r\n\r\n");
  });
  test("CL.0: a body is never read as a request", async () => {
    const [served, backend] = await setUp((end) => {
      if (end.got.includes("/admin")) end.send(OK);
    });
    const request = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`;
    await client(served).send(request).has("ok");
    expect(backend.connections[0]!.got).toBe(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n${ADDED}${smuggled}`,
    );
  });
  test("aliases of framing fields do not reach the backend", async () => {
    const [, seen] = await exchange(
      "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 9\r\nTransfer.Encoding: chunked\r\n\r\n",
      OK,
      "ok",
    );
    expect(seen).toBe(`GET / HTTP/1.1\r\nHost: a\r\n${ADDED}`);
  });
});
