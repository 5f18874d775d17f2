import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { run } from "../../runtime/child.ts";
import { fileHost, probeFile, readHead } from "./file-probe.ts";

const undo: (() => unknown)[] = [];
afterAll(() => {
  for (const step of undo) step();
});

const head = (...lines: string[]): Buffer => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");

test("what a host says of a file", () => {
  const sha = `${"A".repeat(43)}=`;
  const date = "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT";
  const said = (...lines: string[]) => readHead(head("HTTP/1.1 200 OK", ...lines));
  expect(said("Content-Length: 5", date)).toEqual({ size: 5, modified: 1735689600, digest: null });
  expect(said("Content-Length: 5", "last-modified: yesterday", `Digest: md5=x,SHA-256=${sha}`)).toEqual({
    size: 5,
    modified: null,
    digest: sha,
  });
  expect(said("Content-Length: 5", `Repr-Digest: sha-512=:x:, sha-256=:${sha}:`)).toMatchObject({ digest: sha });
  for (const other of ["2025-01-01", "Wed, 01 Jan 2025 00:00:00 +0100", "Wed, 99 Foo 2025 00:00:00 GMT"])
    expect(said("Content-Length: 0", `Last-Modified: ${other}`)).toEqual({ size: 0, modified: null, digest: null });
  expect(said(date)).toBe("silent");
  expect(said("Content-Length: 5", "Content-Length: 6")).toBe("silent");
  for (const status of ["404 Not Found", "410 Gone"])
    expect(readHead(head(`HTTP/1.1 ${status}`, "Content-Length: 9"))).toBe("missing");
  for (const status of ["302 Found", "500 Oops", "403 No", "206 Partial Content"])
    expect(readHead(head(`HTTP/1.1 ${status}`, "Content-Length: 9"))).toBe("silent");
  const interim = Buffer.concat([head("HTTP/1.1 103 Early Hints"), head("HTTP/1.1 404 Not Found")]);
  expect(readHead(interim)).toBe("missing");
});

test("a host that announces for ever is read no further than a relay reads", async () => {
  const after = (interims: number, size: number): Buffer => {
    const early = head("HTTP/1.1 103 Early Hints", `Link: ${"x".repeat(size)}`);
    return Buffer.concat([...Array<Buffer>(interims).fill(early), head("HTTP/1.1 404 Not Found")]);
  };
  expect([readHead(after(32, 1)), readHead(after(33, 1))]).toEqual(["missing", "silent"]);
  const probed = async (answer: Buffer) => {
    const server = createServer((socket) => socket.on("error", () => {}).on("data", () => socket.write(answer)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    undo.push(() => server.close());
    const { port } = server.address() as { port: number };
    return probeFile(fileHost({ address: "127.0.0.1", port }, "http", 80), "/a", 60_000);
  };
  expect(await probed(after(2, 30_000))).toBe("missing");
  expect(await probed(after(4, 60_000))).toBe("silent");
});

test("a hostile host: never an exception; cut anywhere, the same answer or none yet", () => {
  const piece = fc.constantFrom(
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 404\r\n",
    "Content-Length: 3\r\n",
    "\r\n",
    "\n",
    "\0",
    "Digest: x",
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 8 }), fc.nat(200), (pieces, cut) => {
      const bytes = Buffer.from(pieces.join(""), "latin1");
      const whole = readHead(bytes);
      const part = readHead(bytes.subarray(0, cut));
      if (part !== null) expect(part).toEqual(whole!);
    }),
    { numRuns: 2000 },
  );
});

test("a host is reached at its own address, asked by the name and folder of its url", () => {
  const of = (address: string, port: number | null, url?: string) => fileHost({ address, port, url }, "http", 8080);
  expect(of("10.0.0.1", null)).toEqual({ address: "10.0.0.1", port: 8080, host: "10.0.0.1:8080", path: "", tls: null });
  expect(of("2001:db8::1", 80).host).toBe("[2001:db8::1]");
  expect(of("10.0.0.1", null, "https://m.example/pub/")).toEqual({
    address: "10.0.0.1",
    port: 443,
    host: "m.example",
    path: "/pub",
    tls: { name: "m.example" },
  });
  expect(of("10.0.0.1", 81, "http://m.example:8000/").port).toBe(81);
});

/** A TLS server of `m.example` that has `/pub/a.iso`; what it was asked, and by which name its certificate was wanted. */
function tlsMirror(folder: string): { port: number; asked: string[]; certificate: string } {
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const how = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=m.example";
  const { exitCode } = Bun.spawnSync(
    ["openssl", ...how.split(" "), "-addext", "subjectAltName=DNS:m.example", "-keyout", key, "-out", certificate],
    { stdout: "ignore", stderr: "ignore" },
  );
  if (exitCode !== 0) throw new Error("openssl makes no certificate");
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: readFileSync(key), cert: readFileSync(certificate) },
    fetch(request) {
      asked.push(`${request.method} ${new URL(request.url).pathname} ${request.headers.get("host")}`);
      const there = request.url.endsWith("/pub/a.iso");
      return new Response(null, { status: there ? 200 : 404, headers: there ? { "content-length": "7" } : {} });
    },
  });
  undo.push(() => server.stop(true));
  return { port: server.port!, asked, certificate };
}

test.skipIf(Bun.which("openssl") === null)(
  "a host of https is asked over TLS by its url's name, and not believed without a certificate for it",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-mirror-"));
    undo.push(() => rmSync(folder, { recursive: true }));
    const { port, asked, certificate } = tlsMirror(folder);
    const of = (name: string) => fileHost({ address: "127.0.0.1", port, url: `https://${name}/pub` }, "http", 80);
    expect(await probeFile(of("m.example"), "/a.iso", 2000)).toBe("silent");
    // Trusted authorities are read when a process starts.
    const script = `import { probeFile } from ${JSON.stringify(join(import.meta.dirname, "file-probe.ts"))};
    const found = [];
    for (const [host, path] of ${JSON.stringify([
      [of("m.example"), "/a.iso"],
      [of("m.example"), "/b.iso"],
      [of("other.example"), "/a.iso"],
    ])}) found.push(await probeFile(host, path, 2000));
    console.log(JSON.stringify(found));`;
    const { stdout } = await run([process.execPath, "-e", script], { env: { NODE_EXTRA_CA_CERTS: certificate } });
    expect(JSON.parse(stdout)).toEqual([{ size: 7, modified: null, digest: null }, "missing", "silent"]);
    expect(asked).toEqual(["HEAD /pub/a.iso m.example", "HEAD /pub/b.iso m.example"]);
  },
);
