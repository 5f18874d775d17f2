import { afterEach, expect, test } from "bun:test";
import { aBackend, dial, type End, RawBackend, type Served, serveOne } from "../../relay/testing.ts";
import { proxy } from "./index.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const ASK =
  "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
const GO = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
const NO = "HTTP/1.1 403 Forbidden\r\nDate: x\r\nContent-Length: 0\r\n\r\n";

async function setUp(serve: (end: End) => void): Promise<[Served, RawBackend, End]> {
  const backend = new RawBackend(serve);
  const served = await serveOne(proxy, [aBackend(0, backend.port)]);
  const client = dial(served.port);
  cleanup.push(
    () => client.stop(),
    () => backend.stop(),
    served.stop,
  );
  return [served, backend, client];
}

/** Answers the upgrade, then sends everything back. */
function echo(end: End): void {
  const head = end.got.indexOf("\r\n\r\n") + 4;
  end.send(GO);
  const early = end.got.slice(head);
  if (early !== "") end.send(early);
  end.onData = (self, chunk) => void self.send(chunk);
}

test("E.47 a WebSocket passes both ways once the backend has said 101", async () => {
  const [served, backend, client] = await setUp((end) => {
    if (end.got.includes("\r\n\r\n")) echo(end);
  });
  await client.send(ASK).has(GO);
  expect((await backend.connection(0)).got).toContain("\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
  await client.send("frame 1").has("frame 1");
  await client.send("\0\xff\r\n\r\n").has("\0\xff\r\n\r\n");
  expect(served.count("0/active")).toBe(1);
  client.stop();
  await (await backend.connection(0)).gone();
  expect(served.count("0/active")).toBe(0);
});

test("no tunnel before 101: bytes that come early are kept, and are a request if the answer is no", async () => {
  const [, backend, client] = await setUp(() => {});
  client.send(`${ASK}GET /next HTTP/1.1\r\nHost: a\r\n\r\n`);
  const end = await backend.connection(0);
  await end.has("\r\n\r\n");
  expect(end.got).not.toContain("/next");
  end.send(NO);
  await end.has("/next");
  expect(end.got).toContain("GET /next HTTP/1.1\r\nHost: a\r\nX-Forwarded-For");
  end.send(NO);
  expect(await client.until(({ got }) => got === NO.repeat(2))).toBe(NO.repeat(2));
});

test("bytes that come early reach the backend behind its 101", async () => {
  const [, , client] = await setUp((end) => {
    if (end.got.includes("\r\n\r\n")) echo(end);
  });
  await client.send(`${ASK}early`).has("early");
});

test("h2c and other offers end here", async () => {
  const [, backend, client] = await setUp((end) => {
    if (end.got.includes("\r\n\r\n")) end.send(NO);
  });
  const h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n";
  await client.send(`GET / HTTP/1.1\r\nHost: a\r\n${h2c}\r\n`).has("\r\n\r\n");
  expect(backend.connections[0]!.got).not.toMatch(/upgrade|http2/i);
});

test("a 101 with another protocol than offered is refused", async () => {
  const [, , client] = await setUp((end) => void end.send(GO.replace("websocket", "other")));
  expect(await client.send(ASK).gone()).toStartWith("HTTP/1.1 502");
});

test("each side can close its half, and what the other still sends arrives", async () => {
  const [, backend, client] = await setUp((end) => {
    if (end.got.includes("\r\n\r\n") && !end.got.includes("bye")) end.send(GO);
  });
  await client.send(ASK).has(GO);
  client.send("bye");
  const end = await backend.connection(0);
  await end.has("bye");
  client.socket!.shutdown();
  await end.until(({ ended }) => ended, "FIN at the backend");
  end.send("last words");
  await client.has("last words");
  end.socket!.shutdown();
  await client.gone();
});

test("a client that closed its half before the backend's 101: the backend hears of it, behind what came early", async () => {
  const [served, backend, client] = await setUp(() => {});
  client.send(`${ASK}early`);
  const end = await backend.connection(0);
  await end.has("\r\n\r\n");
  client.socket!.shutdown();
  await Bun.sleep(50);
  end.send(GO);
  await end.until(({ ended }) => ended, "FIN at the backend");
  expect(end.got).toEndWith("early");
  end.send("last words");
  await client.has("last words");
  end.socket!.shutdown();
  await client.gone();
  while (served.count("0/active") > 0) await Bun.sleep(5);
});

test("a real WebSocket client and server", async () => {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("no")),
    websocket: { message: (socket, message) => void socket.send(message) },
  });
  const served = await serveOne(proxy, [aBackend(0, server.port!)]);
  cleanup.push(() => server.stop(true), served.stop);
  const socket = new WebSocket(`ws://127.0.0.1:${served.port}/chat`);
  const big = "x".repeat(300_000);
  const got: string[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => {
      socket.send("hello");
      socket.send(big);
    };
    socket.onmessage = ({ data }) => {
      got.push(data);
      if (got.length === 2) socket.close();
    };
    socket.onclose = () => resolve();
    socket.onerror = reject;
  });
  expect(got).toEqual(["hello", big]);
});
