import { afterEach, expect, test } from "bun:test";
import { aBackend, answering, dial, type End, RawBackend, type Served, serveOne } from "../../relay/testing.ts";
import { proxy } from "./index.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const OK = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok";

async function setUp(serve: (end: End, index: number) => void, options: object = {}): Promise<[Served, RawBackend]> {
  const backend = new RawBackend(serve);
  const served = await serveOne(proxy, [aBackend(0, backend.port)], options);
  cleanup.push(() => backend.stop(), served.stop);
  return [served, backend];
}
function client(served: Served): End {
  const end = dial(served.port);
  cleanup.push(() => end.stop());
  return end;
}

test("a GET goes to the backend with Via and X-Forwarded-*, and its response comes back (A.4, D.37)", async () => {
  const [served, backend] = await setUp(answering(OK));
  const end = client(served).send("GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n");
  expect(await end.has("ok")).toBe(OK);
  expect((await backend.connection(0)).got).toBe(
    "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Proto: http\r\nVia: 1.1 sluice\r\n\r\n",
  );
});

test("both connections are kept and used again", async () => {
  const [served, backend] = await setUp(answering(OK));
  const end = client(served);
  for (let i = 1; i <= 3; i++) {
    end.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await end.until(({ got }) => got === OK.repeat(i));
  }
  expect(backend.connections.length).toBe(1);
  expect(served.count("-1/connections")).toBe(1);
  expect(served.count("-1/requests")).toBe(3);
  expect(served.count("-1/active")).toBe(0);
  expect(served.count("0/active")).toBe(0);
  expect(served.count("0/connections")).toBe(1);
});
