import { expect, test } from "bun:test";
import fc from "fast-check";
import { fileHost, readHead } from "./file-probe.ts";

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
  expect(said(date)).toBe("silent");
  expect(said("Content-Length: 5", "Content-Length: 6")).toBe("silent");
  for (const status of ["404 Not Found", "410 Gone"])
    expect(readHead(head(`HTTP/1.1 ${status}`, "Content-Length: 9"))).toBe("missing");
  for (const status of ["302 Found", "500 Oops", "403 No", "206 Partial Content"])
    expect(readHead(head(`HTTP/1.1 ${status}`, "Content-Length: 9"))).toBe("silent");
  const interim = Buffer.concat([head("HTTP/1.1 103 Early Hints"), head("HTTP/1.1 404 Not Found")]);
  expect(readHead(interim)).toBe("missing");
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
