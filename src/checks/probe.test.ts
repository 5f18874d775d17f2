/** Probes against real sockets that misbehave. No times are asserted: a probe that hangs fails by the test's own limit. */
import { afterAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { type Introduction, readIntroduction } from "../protocols/proxy-protocol/read.ts";
import { run } from "../runtime/child.ts";
import { fullListener } from "../runtime/testing.ts";
import http from "./http.ts";
import tcp from "./tcp.ts";

const undo: (() => void)[] = [];
afterAll(() => {
  for (const step of undo) step();
});

/** A server that does `talk` to each connection; its target. */
async function serve(talk: (socket: Socket) => void): Promise<{ address: string; port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    talk(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  undo.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: "127.0.0.1", port: (server.address() as { port: number }).port };
}

const answering = (text: string) => (socket: Socket) => void socket.on("data", () => socket.write(text, "latin1"));
const closedPort = async () => {
  const target = await serve(() => {});
  undo.pop()!();
  return target;
};
const probe = (target: { address: string; port: number }, options: unknown = {}, timeout = 2000) =>
  http.probe(target, http.options.parse(options), timeout);
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";

test("tcp: an open port passes, a closed one is refused", async () => {
  const open = await serve(() => {});
  expect(await tcp.probe(open, {}, 2000)).toMatchObject({ passed: true, code: "SLUICE_CHECK_OK", detail: "connected" });
  expect(await tcp.probe(await closedPort(), {}, 2000)).toMatchObject({
    passed: false,
    code: "SLUICE_CHECK_REFUSED",
    detail: "connect refused",
  });
});

test("http: status, text, HEAD, headers and host are as asked", async () => {
  const seen: string[] = [];
  const target = await serve((socket) => {
    socket.on("data", (bytes) => {
      seen.push(bytes.toString());
      socket.write(OK);
    });
  });
  expect(await probe(target)).toMatchObject({ passed: true, detail: "status 200" });
  expect(seen[0]).toBe(
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nUser-Agent: sluice-check\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
  );
  const asked = { path: "/h?x=1", host: "a.test", method: "HEAD", headers: { accept: "text/plain", "X-A": "b c" } };
  expect((await probe(target, asked)).passed).toBe(true);
  expect(seen[1]).toContain("HEAD /h?x=1 HTTP/1.1\r\nHost: a.test\r\n");
  expect(seen[1]).toContain("accept: text/plain\r\nX-A: b c\r\n");
  expect(seen[1]).not.toContain("*/*");
  expect(await probe(target, { body: "lo wor" })).toMatchObject({ passed: true, detail: "status 200, text found" });
  expect(await probe(target, { body: "absent" })).toMatchObject({ code: "SLUICE_CHECK_BODY" });
  expect(await probe(target, { status: 204 })).toMatchObject({ code: "SLUICE_CHECK_STATUS", detail: "status 200" });
  expect((await probe(target, { status: ["500-599", 200] })).passed).toBe(true);
  for (const [range, passes] of [
    ["200-200", true],
    ["100-200", true],
    ["100-199", false],
    ["201-299", false],
  ] as const)
    expect([range, (await probe(target, { status: [range] })).passed]).toEqual([range, passes]);
});

test("http: a backend that insists on a PROXY header gets one that speaks for nobody, whole before the request", async () => {
  const seen: Buffer[] = [];
  const target = await serve((socket) => {
    let got = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      got = Buffer.concat([got, Buffer.from(bytes as Buffer)]);
      const out: Introduction = { source: null, destination: null };
      const end = readIntroduction(got, 0, out);
      if (end <= 0 || out.source !== null) socket.destroy();
      else if (got.indexOf("\r\n\r\n", end) > 0) {
        seen.push(got.subarray(end));
        socket.write(OK);
      }
    });
  });
  expect((await probe(target)).code).toBe("SLUICE_CHECK_CLOSED");
  for (const sendProxy of ["v1", "v2"]) {
    expect(await probe(target, { sendProxy })).toMatchObject({ passed: true, detail: "status 200" });
    expect(seen.pop()!.toString()).toStartWith("GET / HTTP/1.1\r\n");
  }
});

test("a backend that accepts and says nothing, or drips its head, is a time-out", async () => {
  expect(await probe(await serve(() => {}), {}, 150)).toEqual({
    passed: false,
    code: "SLUICE_CHECK_TIMEOUT",
    detail: "no answer within 150ms",
    latency: null,
  });
  const dripping = await serve((socket) => {
    let at = 0;
    const timer = setInterval(() => socket.write(OK[at++ % 15]!), 20);
    socket.on("close", () => clearInterval(timer));
    undo.push(() => clearInterval(timer));
  });
  expect(await probe(dripping, {}, 250)).toMatchObject({ code: "SLUICE_CHECK_TIMEOUT" });
});

test("a backend whose accept queue is full is a time-out, without a connection", async () => {
  const { port, close } = await fullListener();
  undo.push(close);
  const verdict = await probe({ address: "127.0.0.1", port }, {}, 200);
  expect(verdict).toMatchObject({ code: "SLUICE_CHECK_TIMEOUT", detail: "no connection within 200ms", latency: null });
});

test("garbage, a reset, an early end, a body without end", async () => {
  expect(await probe(await serve(answering("SSH-2.0-x\r\n")))).toMatchObject({
    code: "SLUICE_CHECK_PROTOCOL",
    detail: "answer is not HTTP",
  });
  const resetting = await serve((socket) => void socket.on("data", () => socket.resetAndDestroy()));
  expect(await probe(resetting)).toMatchObject({ code: "SLUICE_CHECK_CLOSED", detail: "connection reset" });
  const ending = await serve((socket) => void socket.on("data", () => socket.end("HTTP/1.1 20")));
  expect(await probe(ending)).toMatchObject({ code: "SLUICE_CHECK_CLOSED", detail: "closed before an answer" });
  const short = await serve((socket) => void socket.on("data", () => socket.end(OK.slice(0, -3))));
  expect(await probe(short, { body: "absent" })).toMatchObject({
    code: "SLUICE_CHECK_CLOSED",
    detail: "closed inside the body",
  });
  const endless = await serve((socket) => {
    socket.on("data", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      const flood = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 65)));
      };
      socket.on("drain", flood);
      flood();
    });
  });
  expect(await probe(endless, { body: "absent" })).toMatchObject({
    code: "SLUICE_CHECK_BODY",
    detail: "text not in the first 64 KiB",
  });
  expect((await probe(endless)).passed).toBe(true);
});

test("a text that lies across chunks and packets is found", async () => {
  const target = await serve((socket) => {
    socket.on("data", async () => {
      for (const part of [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhea",
        "\r\n5\r\nlthy!\r\n0\r\n\r\n",
      ]) {
        socket.write(part);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    });
  });
  expect((await probe(target, { body: "healthy" })).passed).toBe(true);
});

test("a fixed source port is used, and can be used again at once", async () => {
  const ports: (number | undefined)[] = [];
  const target = await serve((socket) => {
    ports.push(socket.remotePort);
    answering(OK)(socket);
  });
  const source = { address: "127.0.0.1", port: 20_000 + (process.pid % 10_000) };
  for (let i = 0; i < 3; i++) {
    expect(await http.probe({ ...target, source }, http.options.parse({}), 2000)).toMatchObject({ passed: true });
    expect(await tcp.probe({ ...target, source }, {}, 2000)).toMatchObject({ passed: true });
  }
  // Who was only connected to, and reset, may be gone before it is looked at.
  expect(new Set(ports.filter((port) => port !== undefined))).toEqual(new Set([source.port]));
});

test("a source that this host does not have is not the backend's fault", async () => {
  const target = await serve(() => {});
  const verdict = await tcp.probe({ ...target, source: { address: "192.0.2.77", port: 0 } }, {}, 2000);
  expect(verdict).toMatchObject({ passed: false, code: "SLUICE_CHECK_LOCAL", latency: null });
});

const hasOpenssl = (() => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!hasOpenssl)(
  `TLS: refused unless trusted or told not to look${hasOpenssl ? "" : " (no openssl)"}`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-check-"));
    undo.push(() => rmSync(folder, { recursive: true }));
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    execFileSync(
      "openssl",
      [...request, "-subj", "/CN=a.test", "-addext", "subjectAltName=DNS:a.test", "-keyout", key, "-out", cert],
      { stdio: "ignore" },
    );
    const names: unknown[] = [];
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
      names.push(socket.servername);
      socket.on("error", () => {});
      socket.on("data", () => socket.write(OK));
    });
    server.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    undo.push(() => server.close());
    const target = { address: "127.0.0.1", port: (server.address() as { port: number }).port };
    const insecure = { tls: { name: "a.test", insecure: true }, body: "hello" };
    expect(await probe(target, insecure)).toMatchObject({ passed: true });
    expect(names).toContain("a.test");
    expect(await probe(target, { tls: { name: "a.test" } })).toMatchObject({ passed: false, code: "SLUICE_CHECK_TLS" });
    expect(await probe(target, { tls: true })).toMatchObject({ passed: false, code: "SLUICE_CHECK_TLS" });
    expect((await probe(target, {}, 500)).passed).toBe(false);
    // Trusted authorities are read when a process starts.
    const script = `import http from ${JSON.stringify(join(import.meta.dirname, "http.ts"))};
    for (const name of ["a.test", "b.test"])
      console.log((await http.probe(${JSON.stringify(target)}, http.options.parse({ tls: { name } }), 2000)).code);`;
    const { stdout } = await run([process.execPath, "-e", script], { env: { NODE_EXTRA_CA_CERTS: cert } });
    expect(stdout).toBe("SLUICE_CHECK_OK\nSLUICE_CHECK_TLS\n");
    const plain = await serve(answering(OK));
    expect(await probe(plain, insecure)).toMatchObject({ code: "SLUICE_CHECK_TLS" });
    const silent = await serve(() => {});
    expect(await probe(silent, insecure, 200)).toMatchObject({ code: "SLUICE_CHECK_TIMEOUT" });
    const closing = await serve((socket) => socket.destroy());
    expect(await probe(closing, insecure)).toMatchObject({ passed: false, code: "SLUICE_CHECK_TLS" });
  },
);

test("options: what is short becomes whole, what is wrong is refused", () => {
  expect(http.options.parse(http.fromShort!("/healthz"))).toMatchObject({ path: "/healthz", status: ["200-399"] });
  expect(http.options.parse(http.options.parse({ status: 204 })).status).toEqual([204]);
  expect(tcp.options.parse(tcp.fromShort!(true))).toEqual({});
  for (const wrong of [
    { path: "healthz" },
    { path: "/a b" },
    { path: "/a\r\nX: y" },
    { host: "a b" },
    { headers: { "a b": "c" } },
    { headers: { a: "b\r\nc: d" } },
    { headers: { Host: "x" } },
    { status: [] },
    { status: "300-200" },
    { status: 99 },
    { method: "POST" },
    { method: "HEAD", body: "x" },
    { unknown: 1 },
    { tls: { verify: false } },
    { sendProxy: "v3" },
    { sendProxy: "v2", tls: true },
  ])
    expect(http.options.safeParse(wrong).success).toBe(false);
});
