import { expect, test } from "bun:test";
import { writeIntroduction } from "../../protocols/proxy-protocol/write.ts";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, answering, type End, type Served } from "../../relay/testing.ts";
import { proxy } from "./index.ts";

/** Who has one address of an IPv6 network has 2^64 of them: such a network is one client. */

const { raw, serve, client } = httpStage(proxy);

const OK = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
const TO = { address: "2001:db8:f::1", port: 80 };
const accept = { acceptProxy: ["127.0.0.1"] };

/** Asks for `path` as a client of this address. */
function ask(served: Served, address: string, path = "/"): End {
  const header = writeIntroduction("v2", { address, port: 5656 }, TO);
  return client(served).send(Buffer.concat([header, Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)]));
}

test("connections of all addresses of a network are counted together; another network has its own", async () => {
  const served = await serve([aBackend(0, raw(answering(OK)).port)], { ...accept, limits: { perAddress: 2 } });
  await ask(served, "2001:db8:1:2::1").has("ok");
  await ask(served, "2001:db8:1:2:ffff::2").has("ok");
  expect(await ask(served, "2001:db8:1:2:a:b:c:d").gone()).toStartWith("HTTP/1.1 429 ");
  await ask(served, "2001:db8:1:3::1").has("ok");
});

test("how many bits are one client can be said", async () => {
  const limits = { perAddress: 1, ipv6Prefix: 48 };
  const served = await serve([aBackend(0, raw(answering(OK)).port)], { ...accept, limits });
  await ask(served, "2001:db8:1:2::1").has("ok");
  expect(await ask(served, "2001:db8:1:ffff::1").gone()).toStartWith("HTTP/1.1 429 ");
  await ask(served, "2001:db8:2::1").has("ok");
});

test("a network has one turn in the queue, however many of its addresses wait", async () => {
  const backend = raw(() => {});
  const served = await serve([aBackend(0, backend.port)], { ...accept, limits: { backend: 1 } });
  ask(served, "192.0.2.1", "/first");
  const upstream = await backend.connection(0);
  await upstream.has("/first");
  for (const [n, address] of ["1::1", "1::2", "1::3", "2::1"].entries()) {
    ask(served, `2001:db8:0:${address}`, `/${address}`);
    while (served.count("-1/queued") <= n) await Bun.sleep(5);
  }
  for (const next of ["1::1", "2::1", "1::2", "1::3"]) {
    upstream.send(OK);
    await upstream.has(`/${next} `);
  }
  const asked = [...upstream.got.matchAll(/GET \/(\S+)/g)].map(([, path]) => path);
  expect(asked).toEqual(["first", "1::1", "2::1", "1::2", "1::3"]);
});

test("who sticks by address stays where it was when it takes another address of its network", async () => {
  const backends = Array.from({ length: 8 }, (_, i) => aBackend(i, raw(answering(OK.replace("ok", `b${i}`))).port));
  const served = await serve(backends, { ...accept, sticky: { client: true } });
  const by = async (address: string): Promise<string> => (await ask(served, address).has("\r\n\r\nb")).slice(-2);
  const home = await by("2001:db8:1:2::1");
  for (let i = 2; i < 12; i++) expect(await by(`2001:db8:1:2:${i}::1`)).toBe(home);
  const others = new Set<string>();
  for (let i = 0; i < 12; i++) others.add(await by(`2001:db8:1:${i}::1`));
  expect(others.size).toBeGreaterThan(2);
});
