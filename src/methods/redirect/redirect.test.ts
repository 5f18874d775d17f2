import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, RawBackend, type Served, serveOne } from "../../relay/testing.ts";
import { run } from "../../runtime/child.ts";
import { redirect } from "./index.ts";
import { isSafePath, locationBase, urlFault } from "./location.ts";

const { cleanup, client } = httpStage(redirect);

async function serve(options: object = {}, backends: Backend[] = [aBackend(0, 8000)]): Promise<Served> {
  const served = await serveOne(redirect, backends, options);
  cleanup.push(served.stop);
  return served;
}
/** The Location for this request target; the status line when there is none. */
async function locationOf(target: string, backend: Partial<Backend> = {}, fields = "Host: a\r\n"): Promise<string> {
  const served = await serve({}, [aBackend(0, 8000, backend)]);
  const got = await client(served).send(`GET ${target} HTTP/1.1\r\n${fields}\r\n`).has("\r\n\r\n");
  return /\r\nLocation: (.*)\r\n/.exec(got)?.[1] ?? got.split("\r\n")[0]!;
}

test("302 with path and query; the connection lives on", async () => {
  const served = await serve();
  const end = client(served);
  await end.send("GET /a/b?c=d HTTP/1.1\r\nHost: a\r\n\r\n").has("\r\n\r\n");
  expect(end.got).toMatch(
    /^HTTP\/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http:\/\/127.0.0.1:8000\/a\/b\?c=d\r\nDate: .* GMT\r\n\r\n$/,
  );
  end.got = "";
  await end.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").has("Location: http://127.0.0.1:8000/x\r\n");
  const counts = ["-1/connections", "-1/requests", "-1/active", "0/requests"];
  expect(counts.map(served.count)).toEqual([1, 2, 0, 2]);
});

test("a request that follows one that was redirected gets its own answer, and its own line of the log", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-redirects-"));
  cleanup.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "log");
  const served = await serve({ accessLog: { file } });
  const end = client(served);
  await end.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").has("302");
  served.change(0, { state: "down" });
  expect(await end.send("GET /b HTTP/1.1\r\nHost: a\r\n\r\n").gone()).toContain("SLUICE_NO_BACKEND");
  await served.stop();
  const lines = readFileSync(file, "utf8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ target: "/a", status: 302, backend: "127.0.0.1:8000", attempts: 1, reason: "" }),
    expect.objectContaining({ target: "/b", status: 503, backend: "", attempts: 0, reason: "SLUICE_NO_BACKEND" }),
  ]);
});

test("a body that comes in pieces is read away to its end: what looks like a request in it is none", async () => {
  const served = await serve();
  const body = "xx GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
  const end = client(served).send(`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
  await end.has("\r\n\r\n");
  for (const piece of [body.slice(0, 3), body.slice(3)]) {
    end.send(piece);
    await Bun.sleep(30);
  }
  await end.send("GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gone();
  expect([...end.got.matchAll(/Location: .*/g)].map(([line]) => line)).toEqual(
    ["/a", "/b"].map((path) => `Location: http://127.0.0.1:8000${path}`),
  );
});

test("after an answer nothing more is said of a body that does not come", async () => {
  const served = await serve({ timeouts: { body: "100ms" } });
  const got = await client(served).send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").gone();
  expect(got).toStartWith("HTTP/1.1 302 ");
  expect(got.split("HTTP/1.1").length).toBe(2);
});

test("what may stand behind a base begins with a slash or a query, whoever asks", () => {
  const safe = (text: string, confined = false): boolean =>
    isSafePath(Buffer.from(`GET ${text} x\\`), 4, 4 + text.length, confined);
  for (const text of ["", "/", "/a", "?a", "/../a", "/a?.."]) expect([text, safe(text)]).toEqual([text, true]);
  for (const text of ["@evil.example", ".evil.example", ":1@evil", "evil", "/a\\b"])
    expect([text, safe(text)]).toEqual([text, false]);
  for (const text of ["/..", "/a/..", "/%2e%2E/a", "/.%2e?x"]) expect([text, safe(text, true)]).toEqual([text, false]);
  for (const text of ["/...", "/a..", "/..a", "/a?x=/../b"]) expect([text, safe(text, true)]).toEqual([text, true]);
});

describe("no open redirect", () => {
  const cases: [string, string, string][] = [
    ["two slashes", "//evil.example/x", "http://127.0.0.1:8000//evil.example/x"],
    ["an absolute target", "http://evil.example/x?y", "http://127.0.0.1:8000/x?y"],
    ["an absolute target without path", "http://evil.example?y", "http://127.0.0.1:8000/?y"],
    ["an at sign", "/@evil.example", "http://127.0.0.1:8000/@evil.example"],
    ["encoded line ends stay encoded", "/%0d%0aSet-Cookie:x", "http://127.0.0.1:8000/%0d%0aSet-Cookie:x"],
    ["a backslash", "/\\evil.example", "HTTP/1.1 400 Bad Request"],
    ["no slash", "@evil.example", "HTTP/1.1 400 Bad Request"],
    ["user information", "http://a@evil.example/", "HTTP/1.1 400 Bad Request"],
    ["a control", "/\x01", "HTTP/1.1 400 Bad Request"],
    ["a tab", "/\t//evil", "HTTP/1.1 400 Bad Request"],
  ];
  test.each(cases)("%s", async (_what, target, answer) => expect(await locationOf(target)).toBe(answer));
  test("a forged Host is never named", async () => {
    expect(await locationOf("/x", {}, "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\n")).toBe(
      "http://127.0.0.1:8000/x",
    );
  });
  test("a bare LF cannot split the response", async () => {
    expect(await locationOf("/x\nSet-Cookie: a")).toBe("HTTP/1.1 400 Bad Request");
  });
  test("dots cannot leave the path of a backend's url", async () => {
    const url = "https://mirror.example/pub/";
    expect(await locationOf("/a?b=/../c", { url })).toBe("https://mirror.example/pub/a?b=/../c");
    for (const path of ["/../x", "/a/%2E%2e/x", "/.%2e", "/a/.."])
      expect(await locationOf(path, { url })).toBe("HTTP/1.1 400 Bad Request");
    expect(await locationOf("/..a", { url })).toBe("https://mirror.example/pub/..a");
  });
});

test("Location for all kinds of backends", () => {
  const base = (address: string, port: number | null) => locationBase({ address, port }, "http", 8080);
  expect([base("10.0.0.1", null), base("10.0.0.1", 80), base("2001:db8::1", 81)]).toEqual([
    "http://10.0.0.1:8080",
    "http://10.0.0.1",
    "http://[2001:db8::1]:81",
  ]);
  expect(locationBase({ address: "10.0.0.1", port: 443 }, "https", 80)).toBe("https://10.0.0.1");
});

test("urls that cannot begin a Location are told apart", () => {
  for (const url of [
    "//x",
    "ftp://x",
    "http://a@b/",
    "http://x/?q",
    "http://x/#f",
    "http://x/ y",
    "http://x\r\n",
    "http://[/",
  ])
    expect(urlFault(url)).not.toBeNull();
  for (const url of ["http://x", "HTTPS://x:81/y/", "http://[::1]/"]) expect(urlFault(url)).toBeNull();
});

describe("the body of a request", () => {
  const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
  test("a small one is read away, whatever it holds", async () => {
    const end = client(await serve({ status: 307 }));
    const body = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    await end.send(`POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}${next}`).has("/next");
    expect(end.got).toStartWith("HTTP/1.1 307 Temporary Redirect\r\n");
    expect(end.got).not.toContain("evil");
  });
  test("one that comes later too", async () => {
    const end = client(await serve());
    await end.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").has("/x");
    await end.send(`llo${next}`).has("/next");
  });
  const closing: [string, string][] = [
    ["a large one", "Content-Length: 1000000\r\n"],
    ["a chunked one", "Transfer-Encoding: chunked\r\n"],
    ["one that waits for 100", "Content-Length: 5\r\nExpect: 100-continue\r\n"],
  ];
  test.each(closing)("%s: answered, then closed", async (_what, fields) => {
    const end = client(await serve()).send(`POST /x HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
    const got = await end.gone();
    expect(got).toContain("Location: http://127.0.0.1:8000/x\r\n");
    expect(got).toEndWith("Connection: close\r\n\r\n");
  });
});

test("no eligible backend: 503", async () => {
  const served = await serve({}, [aBackend(0, 1, { state: "down" })]);
  expect(await client(served).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").gone()).toContain("SLUICE_NO_BACKEND");
});

test("a changed backend is named at once", async () => {
  const served = await serve();
  const end = client(served);
  await end.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").has(":8000/");
  served.change(0, { port: 9000 });
  await end.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").has(":9000/");
});

test("judge: urls, UDP, and a warning for answers that clients remember", () => {
  const service = {
    name: "s",
    method: "redirect" as const,
    listen: [{ address: "0.0.0.0", port: 80, protocol: "udp" as const }],
    names: [],
    scheduler: { name: "random", options: {} },
    backends: [
      { address: "10.0.0.1", port: 80, url: "http://a@b", weight: 1, tier: 0, tags: [], admin: "ready" as const },
    ],
    check: null,
    nearest: false,
    options: redirect.options.parse({ status: 308 }),
  };
  expect(redirect.judge(service).map(({ path, severity }) => `${severity} ${path.join(".")}`)).toEqual([
    "error listen.0",
    "error backends.0.url",
    "warning redirect.status",
  ]);
});

const clients = [
  ["curl", ["-sSL", "-o"]],
  ["wget", ["-q", "-O"]],
] as const;
for (const [name, flags] of clients) {
  test.skipIf(!existsSync(`/usr/bin/${name}`))(`${name} fetches a file through a redirect`, async () => {
    const file = "0123456789".repeat(20_000);
    const backend = new RawBackend((end) => {
      if (end.got.endsWith("\r\n\r\n"))
        end.send(`HTTP/1.1 200 OK\r\nContent-Length: ${file.length}\r\nConnection: close\r\n\r\n${file}`);
    });
    const served = await serve({}, [aBackend(0, backend.port)]);
    const folder = mkdtempSync(join(tmpdir(), "sluice-redirect-"));
    cleanup.push(
      () => backend.stop(),
      () => rmSync(folder, { recursive: true }),
    );
    const to = join(folder, "file");
    const { code, stderr } = await run([name, ...flags, to, `http://127.0.0.1:${served.port}/dir/file?x=y`]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(readFileSync(to, "latin1") === file).toBe(true);
    expect(backend.connections[0]!.got).toStartWith("GET /dir/file?x=y HTTP/1.1\r\n");
  });
}
