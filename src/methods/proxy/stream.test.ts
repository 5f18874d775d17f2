import { describe, expect, test } from "bun:test";
import { writeIntroduction, writeLocal } from "../../protocols/proxy-protocol/write.ts";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, answering, deadPort, RawBackend } from "../../relay/testing.ts";
import { proxy } from "./index.ts";

const { cleanup, raw, serve, client } = httpStage(proxy);

const OK = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const FROM = { address: "203.0.113.9", port: 5656 };
const TO = { address: "192.0.2.1", port: 80 };

/** Sends back what it gets. */
function echo(): RawBackend {
  const said = new Map<number, number>();
  return raw((end, index) => {
    end.send(end.got.slice(said.get(index) ?? 0));
    said.set(index, end.got.length);
  });
}

describe("PROXY headers from clients", () => {
  const accept = { acceptProxy: ["127.0.0.0/8"] };
  for (const version of ["v1", "v2"] as const)
    test(`${version}: the client is who the header says, for as long as the connection lives`, async () => {
      const backend = raw(answering(OK));
      const served = await serve([aBackend(0, backend.port)], accept);
      const header = writeIntroduction(version, FROM, TO);
      const end = client(served).send(Buffer.concat([header, Buffer.from(GET)]));
      await end.has("ok");
      await end.send(GET).until(({ got }) => got === OK.repeat(2));
      expect((await backend.connection(0)).got.match(/X-Forwarded-For: 203\.0\.113\.9\r\n/g)?.length).toBe(2);
    });
  test("octet by octet it is the same header", async () => {
    const backend = raw(answering(OK));
    const served = await serve([aBackend(0, backend.port)], accept);
    const end = client(served);
    for (const octet of Buffer.concat([writeIntroduction("v2", FROM, TO), Buffer.from(GET)])) {
      end.send(Buffer.from([octet]));
      await Bun.sleep(1);
    }
    await end.has("ok");
    expect((await backend.connection(0)).got).toContain("X-Forwarded-For: 203.0.113.9\r\n");
  });
  test("without a header, or with a wrong one, the connection is cut and nothing is served", async () => {
    const backend = raw(answering(OK));
    const served = await serve([aBackend(0, backend.port)], accept);
    expect(await client(served).send(GET).gone()).toBe("");
    expect(await client(served).send(`PROXY TCP4 1.2.3.4 1.2.3.4 1 70000\r\n${GET}`).gone()).toBe("");
    expect(backend.connections.length).toBe(0);
  });
  test("one that speaks for nobody, and none where none is asked for, leave the connection's own ends", async () => {
    for (const sendProxy of ["v1", "v2"] as const) {
      const [backend, own] = [raw((end) => end.got.includes("GET") && end.send(OK)), raw(answering(OK))];
      const out = await serve([aBackend(0, backend.port)], { sendProxy });
      const introduced = await serve([aBackend(0, own.port)], accept);
      const direct = client(out).send(GET);
      await direct.has("ok");
      const ends = { address: "127.0.0.1", port: direct.socket!.localPort };
      const header = writeIntroduction(sendProxy, ends, { address: "127.0.0.1", port: out.port });
      expect(backend.connections[0]!.got).toStartWith(`${header.toString("latin1")}GET `);
      await client(introduced)
        .send(Buffer.concat([writeLocal(sendProxy), Buffer.from(GET)]))
        .has("ok");
      expect(own.connections[0]!.got).toContain("X-Forwarded-For: 127.0.0.1\r\n");
    }
  });
  test("a stranger's header is not believed: it is a malformed request", async () => {
    const served = await serve([aBackend(0, raw(answering(OK)).port)], { acceptProxy: ["192.0.2.0/24"] });
    expect(await client(served).send(`PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n${GET}`).gone()).toStartWith("HTTP/1.1 400 ");
  });
  test("connections are counted for the client, not for who introduces them", async () => {
    const served = await serve([aBackend(0, raw(answering(OK)).port)], { ...accept, limits: { perAddress: 1 } });
    const send = (address: string) =>
      client(served).send(Buffer.concat([writeIntroduction("v1", { ...FROM, address }, TO), Buffer.from(GET)]));
    await send("203.0.113.1").has("ok");
    await send("203.0.113.2").has("ok");
    expect(await send("203.0.113.1").gone()).toStartWith("HTTP/1.1 429 ");
  });
});

test("PROXY headers to backends: one for each connection, and a connection for each request", async () => {
  const backend = raw((end) => end.got.includes("\r\n\r\n") && end.send(OK));
  const served = await serve([aBackend(0, backend.port)], { sendProxy: "v1", acceptProxy: ["127.0.0.1"] });
  const end = client(served).send(Buffer.concat([writeIntroduction("v2", FROM, TO), Buffer.from(GET)]));
  await end.has("ok");
  await end.send(GET).until(({ got }) => got === OK.repeat(2));
  const heads = backend.connections.map(({ got }) => got.split("\r\n").slice(0, 2));
  const line = "PROXY TCP4 203.0.113.9 192.0.2.1 5656 80";
  expect(heads).toEqual([
    [line, "GET / HTTP/1.1"],
    [line, "GET / HTTP/1.1"],
  ]);
});

describe("tcp mode", () => {
  const tcp = { mode: "tcp" };

  test("any bytes, both ways; each side can close its half", async () => {
    const backend = echo();
    const served = await serve([aBackend(0, backend.port)], tcp);
    const end = client(served).send("\0\r\n not HTTP");
    await end.has("not HTTP");
    end.socket!.shutdown();
    const upstream = await backend.connection(0);
    await upstream.until(({ ended }) => ended);
    upstream.send("still here");
    await end.has("still here");
    upstream.socket!.shutdown();
    await end.gone();
    for (let i = 0; i < 100 && served.count("-1/active") > 0; i++) await Bun.sleep(10);
    const counts = ["-1/connections", "0/requests", "0/active", "-1/active", "-1/errors"].map(served.count);
    expect(counts).toEqual([1, 1, 0, 0, 0]);
    expect([served.count("-1/bytesIn"), served.count("-1/bytesOut")]).toEqual([12, 22]);
  });
  test("a backend that speaks first is heard; a refused connection goes to another backend", async () => {
    const greeting = new RawBackend(
      () => {},
      (end) => void end.send("220 hello\r\n"),
    );
    cleanup.push(() => greeting.stop());
    const served = await serve([aBackend(0, deadPort()), aBackend(1, greeting.port)], tcp);
    for (let i = 0; i < 2; i++) await client(served).has("220 hello");
    expect(served.observed).toContain("0 SLUICE_BACKEND_CONNECT");
  });
  test("no backend: the connection is cut, and counted as an error", async () => {
    const served = await serve([aBackend(0, deadPort())], tcp);
    await client(served).gone();
    expect([served.count("-1/errors"), served.count("-1/active")]).toEqual([1, 0]);
  });
  test("headers in and out: the backend learns who the client is", async () => {
    const backend = echo();
    const served = await serve([aBackend(0, backend.port)], { ...tcp, acceptProxy: ["127.0.0.1"], sendProxy: "v2" });
    client(served).send(Buffer.concat([writeIntroduction("v1", FROM, TO), Buffer.from("hello")]));
    await (await backend.connection(0)).has("hello");
    expect(backend.connections[0]!.got).toBe(`${writeIntroduction("v2", FROM, TO).toString("latin1")}hello`);
  });
  test("a limit per backend holds for connections too: the next waits, and its bytes are kept", async () => {
    const backend = echo();
    const served = await serve([aBackend(0, backend.port)], { ...tcp, limits: { backend: 1 } });
    const first = client(served).send("one");
    await first.has("one");
    const second = client(served).send("two");
    for (let i = 0; i < 100 && served.count("-1/queued") === 0; i++) await Bun.sleep(10);
    expect(backend.connections.length).toBe(1);
    first.stop();
    await second.has("two");
  });
  test("8 MiB through a slow reader arrive unchanged", async () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 8 << 20 }, (_, i) => i * 31 + (i >> 11)));
    const backend = raw((end) => void end.send(bytes));
    const served = await serve([aBackend(0, backend.port)], tcp);
    const hash = new Bun.CryptoHasher("sha256");
    let size = 0;
    const end = client(served);
    end.onData = (_, chunk) => {
      hash.update(chunk);
      size += chunk.length;
      end.socket!.pause();
      setTimeout(() => end.socket!.resume(), 2);
    };
    end.send("go");
    await end.until(() => size === bytes.length);
    expect(hash.digest("hex")).toBe(new Bun.CryptoHasher("sha256").update(bytes).digest("hex"));
  });
});
