import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { proxy } from "../methods/proxy/index.ts";
import { redirect } from "../methods/redirect/index.ts";
import { aBackend, answering, deadPort, dial, RawBackend, serveOne } from "./testing.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const OK = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "sluice-access-"));
  cleanup.push(() => rmSync(made, { recursive: true }));
  return join(made, "access.log");
}

test("each request leaves a line: where it went, what it was answered, and why not", async () => {
  const file = folder();
  const backend = new RawBackend((end) => end.got.includes("POST") || answering(OK)(end));
  cleanup.push(() => backend.stop());
  const served = await serveOne(proxy, [aBackend(0, deadPort()), aBackend(1, backend.port)], { accessLog: { file } });
  const client = dial(served.port);
  const get = 'GET /a?b="c" HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: a "b"\r\nReferer: /r\r\n\r\n';
  await client.send(get.replaceAll('"', "%22")).has("ok");
  await client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").gone();
  const leaving = dial(served.port).send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
  for (let i = 0; i < 100 && served.count("-1/active") === 0; i++) await Bun.sleep(10);
  leaving.stop();
  for (let i = 0; i < 100 && served.count("-1/active") > 0; i++) await Bun.sleep(10);
  await served.stop();
  const lines = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines).toEqual([
    expect.objectContaining({
      service: "shop",
      client: "127.0.0.1",
      method: "GET",
      target: "/a?b=%22c%22",
      host: "shop.example",
      agent: "a %22b%22",
      referer: "/r",
      status: 200,
      bytes: client.got.indexOf("ok") + 2,
      backend: `127.0.0.1:${backend.port}`,
      reason: "",
    }),
    expect.objectContaining({ method: "", status: 400, reason: "SLUICE_HTTP_BAD_REQUEST", backend: "" }),
    expect.objectContaining({ method: "POST", target: "/up", status: 0, bytes: 0 }),
  ]);
});

test("lines that the disk does not take are counted; traffic goes on", async () => {
  const served = await serveOne(redirect, [aBackend(0, 1)], { accessLog: { file: "/dev/full" } });
  for (let i = 0; i < 3; i++) await dial(served.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").has("302");
  await served.stop();
  expect(served.count("-1/unlogged")).toBe(3);
  expect(served.logs.join()).toContain("access log lines dropped");
});

test("a head of more fields than usual is read to its end, one of HTTP/1.0 without a Host too", async () => {
  const file = folder();
  const served = await serveOne(redirect, [aBackend(0, 1)], { accessLog: { file }, limits: { fields: 400 } });
  const many = Array.from({ length: 300 }, (_, i) => `X-${i}: ${i}\r\n`).join("");
  await dial(served.port).send(`GET / HTTP/1.1\r\nHost: a\r\n${many}User-Agent: last\r\n\r\n`).has("302");
  await dial(served.port).send("GET /old HTTP/1.0\r\nUser-Agent: old\r\n\r\n").gone();
  await served.stop();
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ minor: 1, host: "a", agent: "last" }),
    expect.objectContaining({ minor: 0, host: "", agent: "old", target: "/old" }),
  ]);
});

test("an answer that was cut says so, whatever its status was", async () => {
  const file = folder();
  const backend = new RawBackend((end) => {
    end.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart");
    end.socket!.shutdown();
  });
  cleanup.push(() => backend.stop());
  const served = await serveOne(proxy, [aBackend(0, backend.port)], { accessLog: { file } });
  await dial(served.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").gone();
  await served.stop();
  expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ status: 200, reason: "SLUICE_BACKEND_CLOSED" });
});

test("redirects are logged too; reopening goes to the new file", async () => {
  const file = folder();
  const served = await serveOne(redirect, [aBackend(0, 1)], { accessLog: { file, format: "combined" } });
  const client = dial(served.port);
  await client.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n").has("302");
  for (let i = 0; i < 100 && !readFileSync(file, "utf8").includes("/one"); i++) await Bun.sleep(20);
  renameSync(file, `${file}.1`);
  served.serving.reopen?.();
  await client.send("GET /two HTTP/1.1\r\nHost: a\r\n\r\n").has("/two");
  await served.stop();
  expect(readFileSync(`${file}.1`, "utf8")).toContain('"GET /one HTTP/1.1" 302 ');
  expect(readFileSync(file, "utf8")).toContain('"GET /two HTTP/1.1" 302 ');
});

test("a log that cannot be opened is said, and traffic goes on", async () => {
  const served = await serveOne(redirect, [aBackend(0, 1)], { accessLog: { file: "/no/such/folder/a.log" } });
  cleanup.push(served.stop);
  await dial(served.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").has("302");
  expect(served.logs.join()).toContain("access log cannot be opened");
});
