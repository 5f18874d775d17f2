import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { writeMmdb } from "../../geo/mmdb-testing.ts";
import { geo as geoSchema, places as placesSchema } from "../../geo/schema.ts";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, deadPort, type Served, serveOne } from "../../relay/testing.ts";
import { sleep } from "../../runtime/clock.ts";
import { redirect } from "./index.ts";

const { cleanup, client } = httpStage(redirect);
const NEW = "Wed, 01 Jan 2025 00:00:00 GMT";
const OLD = "Mon, 01 Jan 2024 00:00:00 GMT";

interface File {
  size: number;
  modified?: string;
  digest?: string;
}

/** A mirror with these files, which counts what it is asked. */
function mirror(files: Record<string, File | undefined>, delay = 0, hostname = "127.0.0.1") {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname,
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push(`${request.method} ${pathname}`);
      if (delay > 0) await Bun.sleep(delay);
      const file = files[pathname];
      if (file === undefined) return new Response("", { status: 404 });
      const fields = new Headers({ "content-length": String(file.size) });
      if (file.modified !== undefined) fields.set("last-modified", file.modified);
      if (file.digest !== undefined) fields.set("repr-digest", file.digest);
      return new Response(request.method === "HEAD" ? null : "x".repeat(file.size), { headers: fields });
    },
  });
  cleanup.push(() => server.stop(true));
  return { port: server.port!, hostname, asked, files };
}
type AMirror = ReturnType<typeof mirror>;
const backendsOf = (all: readonly AMirror[], more: readonly Partial<Backend>[] = []): Backend[] =>
  all.map(({ port, hostname }, id) => aBackend(id, port, { address: hostname, ...more[id] }));

async function serve(
  backends: Backend[],
  mirrors: object = {},
  more: Parameters<typeof serveOne>[3] = {},
  options: object = {},
): Promise<Served> {
  const served = await serveOne(redirect, backends, { mirrors, ...options }, more);
  cleanup.push(served.stop);
  return served;
}
async function ask(served: Served, target: string, fields = ""): Promise<string> {
  const got = await client(served)
    .send(`GET ${target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n${fields}\r\n`)
    .gone();
  return got;
}
const location = (got: string): string => /\r\nLocation: (.*)\r\n/.exec(got)?.[1] ?? got.split("\r\n")[0]!;
const at = ({ hostname, port }: AMirror, path: string): string => `http://${hostname}:${port}${path}`;
/** Where eight clients are sent for a file. */
async function goals(served: Served, path: string): Promise<string[]> {
  const found = new Set<string>();
  for (let i = 0; i < 8; i++) found.add(location(await ask(served, path)));
  return [...found].sort();
}

const file: File = { size: 100, modified: NEW };

test("only backends that have the file, as most have it; each is asked once", async () => {
  const all = [
    mirror({ "/a.iso": file }),
    mirror({ "/a.iso": { size: 100, modified: OLD } }),
    mirror({}),
    mirror({ "/a.iso": file }),
    mirror({ "/a.iso": { size: 99, modified: NEW } }),
  ];
  const served = await serve(backendsOf(all));
  expect(await goals(served, "/a.iso?x=1")).toEqual([at(all[0]!, "/a.iso?x=1"), at(all[3]!, "/a.iso?x=1")].sort());
  expect(all.map(({ asked }) => asked)).toEqual(Array(5).fill(["HEAD /a.iso"]));
  served.change(0, { state: "down" });
  expect(await goals(served, "/a.iso")).toEqual([at(all[3]!, "/a.iso")]);
  served.change(3, { state: "down" });
  expect(await ask(served, "/a.iso")).toContain("SLUICE_NO_BACKEND");
});

test("a Metalink of a folder above is refused: what stands before `.meta4` is a path of its own", async () => {
  const one = mirror({ "/pub/a.iso": file });
  const base = `http://127.0.0.1:${one.port}/pub`;
  const served = await serve(backendsOf([one], [{ url: base }]));
  for (const path of ["/...meta4", "/x/...meta4", "/%2e..meta4", "/.%2E.meta4"])
    expect(await ask(served, path)).toStartWith("HTTP/1.1 400 ");
  expect(await ask(served, "/a.iso.meta4")).toContain(`>${base}/a.iso<`);
  expect(one.asked).toEqual(["HEAD /pub/a.iso"]);
});

test("the reference is the truth, also against most; what it has not costs no backend a question", async () => {
  const reference = mirror({ "/pub/a.iso": file });
  const all = [
    mirror({ "/a.iso": { size: 1, modified: OLD } }),
    mirror({ "/a.iso": { size: 1, modified: OLD } }),
    mirror({ "/a.iso": file }),
  ];
  const { port } = reference;
  const served = await serve(backendsOf(all), {
    reference: { address: `127.0.0.1:${port}`, url: "http://origin.example/pub" },
  });
  expect(await goals(served, "/a.iso")).toEqual([at(all[2]!, "/a.iso")]);
  const missing = await ask(served, "/none");
  expect(missing).toStartWith("HTTP/1.1 404 Not Found\r\n");
  expect(missing).toContain("Sluice-Reason: SLUICE_NO_FILE\r\n");
  expect(all[0]!.asked).toEqual(["HEAD /a.iso"]);
  expect(reference.asked).toEqual(["HEAD /pub/a.iso", "HEAD /pub/none"]);
});

test("what nobody has: the fallback, or 404; remembered for a while, then asked again", async () => {
  const all = [mirror({}), mirror({})];
  const served = await serve(backendsOf(all), { missing: "200ms", fallback: "https://origin.example/pub/" });
  expect(await goals(served, "/a.iso?y")).toEqual(["https://origin.example/pub/a.iso?y"]);
  expect(all.map(({ asked }) => asked.length)).toEqual([1, 1]);
  all[1]!.files["/a.iso"] = file;
  for (let i = 0; i < 100 && location(await ask(served, "/a.iso")) !== at(all[1]!, "/a.iso"); i++) await sleep(50);
  expect(await goals(served, "/a.iso")).toEqual([at(all[1]!, "/a.iso")]);
});

test("backends of which none can say anything are not said to lack the file", async () => {
  const backends = [aBackend(0, deadPort()), aBackend(1, deadPort())];
  const served = await serve(backends);
  const sent = await goals(served, "/a.iso");
  expect(backends.map(({ port }) => `http://127.0.0.1:${port}/a.iso`)).toContain(sent[0]!);
  expect(await ask(served, "/a.iso.meta4")).toContain("SLUICE_FILE_UNKNOWN");
  const other = await serve(backends, { fallback: "http://origin.example" });
  expect(await goals(other, "/a.iso")).toEqual(["http://origin.example/a.iso"]);
  expect(["-1/requests", "0/requests", "1/requests"].map(other.count)).toEqual([8, 0, 0]);
});

test("a first request waits no longer than it may: for who has answered, else for any or the fallback", async () => {
  const slow = mirror({ "/a.iso": file }, 800);
  const all = [slow, mirror({ "/a.iso": file }, 20)];
  const some = await serve(backendsOf(all), { wait: "300ms" });
  expect(location(await ask(some, "/a.iso"))).toBe(at(all[1]!, "/a.iso"));
  const none = await serve(backendsOf([slow]), { wait: "50ms" });
  expect(location(await ask(none, "/a.iso"))).toBe(at(slow, "/a.iso"));
  const fallback = await serve(backendsOf([slow]), { wait: "0ms", fallback: "http://origin.example" });
  expect(location(await ask(fallback, "/a.iso"))).toBe("http://origin.example/a.iso");
  // Answers that come meanwhile are kept.
  for (let i = 0; i < 100 && location(await ask(fallback, "/a.iso")) !== at(slow, "/a.iso"); i++) await sleep(50);
  expect(location(await ask(fallback, "/a.iso"))).toBe(at(slow, "/a.iso"));
  expect(await ask(none, "/b.iso.meta4")).toContain("SLUICE_FILE_UNKNOWN");
});

test("requests behind one that waits are answered in their order", async () => {
  const all = [mirror({ "/a": file, "/b": file }, 100)];
  const served = await serve(backendsOf(all), { wait: "3s" });
  const end = client(served).send(
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
  );
  await end.until(({ got }) => got.split("Location:").length === 4, "three answers");
  expect([...end.got.matchAll(/Location: http:\/\/[^/]*(\/.*)\r\n/g)].map(([, path]) => path)).toEqual([
    "/a",
    "/b",
    "/",
  ]);
  expect(["-1/requests", "-1/active"].map(served.count)).toEqual([3, 0]);
  // One that leaves while it waits leaves nothing behind.
  const gone = client(served).send("GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
  for (let i = 0; i < 100 && !all[0]!.asked.includes("HEAD /c"); i++) await sleep(20);
  gone.stop();
  for (let i = 0; i < 100 && served.count("-1/active") > 0; i++) await sleep(20);
  expect(served.count("-1/active")).toBe(0);
});

test("a backend that comes up later is asked, beside the traffic", async () => {
  const all = [mirror({ "/a.iso": file }), mirror({ "/a.iso": file })];
  const served = await serve(backendsOf(all, [{}, { state: "down" }]));
  expect(await goals(served, "/a.iso")).toEqual([at(all[0]!, "/a.iso")]);
  expect(all[1]!.asked).toEqual([]);
  served.change(1, { state: "up" });
  for (let i = 0; i < 100 && (await goals(served, "/a.iso")).length < 2; i++) await sleep(20);
  expect((await goals(served, "/a.iso")).length).toBe(2);
  expect(all[1]!.asked).toEqual(["HEAD /a.iso"]);
});

test("Link fields, Metalink and lists name those that have the file, the nearest first, with their countries", async () => {
  const sha = Buffer.alloc(32, 7).toString("base64");
  const whole = { ...file, digest: `sha-256=:${sha}:` };
  const all = [
    mirror({ "/d/a&b'.iso": file }, 0, "127.0.0.3"),
    mirror({ "/d/a&b'.iso": whole }, 0, "127.0.0.2"),
    mirror({}, 0, "127.0.0.2"),
  ];
  const lands = [
    { prefix: "127.0.0.0/31", country: "DE", continent: "EU" },
    { prefix: "127.0.0.2/32", country: "FR", continent: "EU" },
    { prefix: "127.0.0.3/32", country: "US", continent: "NA" },
  ];
  const log = join(mkdtempSync(join(tmpdir(), "sluice-mirrors-")), "log");
  cleanup.push(() => rmSync(join(log, ".."), { recursive: true }));
  const { file: database, remove } = writeMmdb(lands);
  cleanup.push(remove);
  const places = placesSchema.parse({ eu: { continents: ["EU"], next: ["us"] }, us: { countries: ["US"] } });
  const geography = { places, geo: geoSchema.parse(database) };
  const served = await serve(
    backendsOf(all, [{ tags: ["us"] }, { tags: ["eu"] }, { tags: ["eu"] }]),
    { reference: `127.0.0.2:${all[1]!.port}` },
    { nearest: true, geography },
    { accessLog: { file: log, format: "json" } },
  );
  const [us, fr] = [at(all[0]!, "/d/a&b'.iso"), at(all[1]!, "/d/a&b'.iso")];
  const got = await ask(served, "/d/a&b'.iso");
  expect(location(got)).toBe(fr);
  const head = got.split("\r\n");
  expect(head.filter((line) => line.startsWith("Link:"))).toEqual([
    `Link: <${fr}>; rel=duplicate; pri=1; geo=fr`,
    `Link: <${us}>; rel=duplicate; pri=2; geo=us`,
    `Link: </d/a&b'.iso.meta4>; rel=describedby; type="application/metalink4+xml"`,
  ]);
  expect(head).toContain(`Digest: SHA-256=${sha}`);
  expect(head).toContain("Vary: Accept");
  const document = await ask(served, "/d/a&b'.iso.meta4");
  expect(document).toContain("Content-Type: application/metalink4+xml\r\n");
  const body = document.split("\r\n\r\n")[1]!;
  expect(body).toContain('<file name="a&amp;b&apos;.iso">\n    <size>100</size>\n');
  expect(body).toContain(`<hash type="sha-256">${"07".repeat(32)}</hash>`);
  expect(body).toContain(`<url location="fr" priority="1">${fr.replace("&", "&amp;").replace("'", "&apos;")}</url>`);
  expect(body).toContain("<updated>2025-01-01T00:00:00.000Z</updated>");
  const byAccept = await ask(served, "/d/a&b'.iso", "Accept: text/html, application/metalink4+xml;q=0.9\r\n");
  expect(byAccept.split("\r\n\r\n")[1]).toBe(body);
  const twice = "Accept: text/html\r\nAccept: image/png, Application/Metalink4+XML ; v=1\r\n";
  expect((await ask(served, "/d/a&b'.iso", twice)).split("\r\n\r\n")[1]).toBe(body);
  // A weight of 0 says that it is not wanted (RFC 9110 12.4.2), and a longer name is another type.
  for (const no of ["q=0", " Q=0.000 ;v=1", "v=1;q=0."])
    for (const more of ["", ", application/metalink4+xml-other"])
      expect(location(await ask(served, "/d/a&b'.iso", `Accept: application/metalink4+xml;${no}${more}\r\n`))).toBe(fr);
  expect((await ask(served, "/d/a&b'.iso?mirrorlist")).split("\r\n\r\n")[1]).toBe(`${fr}\n${us}\n`);
  const plain = await ask(served, "/d/a&b'.iso?mirrorlist", "X-Kind: text/html\r\nAccept: text/htm, text/html;q=0\r\n");
  expect(plain.split("\r\n\r\n")[1]).toBe(`${fr}\n${us}\n`);
  const page = await ask(served, "/d/a&b'.iso?mirrorlist", "Accept: text/html\r\n");
  expect(page).toContain("<h1>Mirrors of a&amp;b&apos;.iso</h1>");
  expect(page.match(/has it|does not have it/g)).toEqual(["has it", "has it", "does not have it"]);
  await served.serving.drain(0);
  const [first] = readFileSync(log, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(first).toMatchObject({
    status: 302,
    country: "DE",
    backendCountry: "FR",
    backend: `127.0.0.2:${all[1]!.port}`,
  });
});

test("nearest, but the near ones lack the file: the next place's have it", async () => {
  const all = [mirror({}), mirror({ "/a.iso": file }), mirror({ "/a.iso": file })];
  const places = placesSchema.parse({ here: { networks: ["127.0.0.0/8"], next: ["there"] }, there: {} });
  const tags = [{ tags: ["here"] }, { tags: ["there"] }, {}];
  const served = await serve(backendsOf(all, tags), {}, { nearest: true, geography: { places } });
  expect(await goals(served, "/a.iso")).toEqual([at(all[1]!, "/a.iso")]);
  expect(await goals(served, "/")).toEqual([at(all[0]!, "/")]);
});

test("a path beyond 1,024 octets is not asked for: it goes to any backend, or the fallback", async () => {
  const path = (length: number): string => `/${"a".repeat(length - 1)}`;
  const one = mirror({ [path(1024)]: file });
  const served = await serve(backendsOf([one]));
  for (const length of [1024, 1025]) expect(location(await ask(served, path(length)))).toBe(at(one, path(length)));
  expect(await ask(served, `${path(1025)}.meta4`)).toContain("SLUICE_FILE_UNKNOWN");
  expect(one.asked).toEqual([`HEAD ${path(1024)}`]);
});

test("what nobody has is missing in every form, and counted as an error", async () => {
  const served = await serve(backendsOf([mirror({}), mirror({})]));
  for (const target of ["/no", "/no.meta4", "/no?mirrorlist"]) {
    const got = await ask(served, target);
    expect([target, got.split("\r\n")[0]]).toEqual([target, "HTTP/1.1 404 Not Found"]);
    expect(got).toContain("Sluice-Reason: SLUICE_NO_FILE\r\n");
  }
  expect(served.count("-1/errors")).toBe(3);
});

test("a request behind one that has waited in vain is read all the same", async () => {
  const slow = mirror({ "/a": file }, 5000);
  const served = await serve(backendsOf([slow]), { wait: "50ms" });
  const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
  const got = await client(served)
    .send(get("/a") + get("/b", "Connection: close\r\n"))
    .gone();
  expect([...got.matchAll(/Location: .*/g)].map(([line]) => line)).toEqual(
    [at(slow, "/a"), at(slow, "/b")].map((url) => `Location: ${url}`),
  );
});

test("who has waited for an answer gets one, and nothing more when the connection's time is up", async () => {
  const one = mirror({ "/a": file }, 20);
  const served = await serve(backendsOf([one]), {}, {}, { timeouts: { idle: "100ms" } });
  const got = await client(served).send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").gone();
  expect([location(got), got.split("HTTP/1.1").length]).toEqual([at(one, "/a"), 2]);
});

test("as many mirrors are named as `links` says: none of them, nor the Metalink, when that is 0", async () => {
  const all = [mirror({ "/a": file }), mirror({ "/a": file }), mirror({ "/a": file })];
  for (const links of [0, 1, 2, 5]) {
    const got = await ask(await serve(backendsOf(all), { links }), "/a");
    expect([links, got.match(/rel=duplicate/g)?.length ?? 0]).toEqual([links, Math.min(3, links)]);
    expect(got.includes("rel=describedby")).toBe(links > 0);
  }
});

test("the backends of a place get its clients in turn", async () => {
  const all = [mirror({}), mirror({}), mirror({})];
  const places = placesSchema.parse({ here: { networks: ["127.0.0.0/8"] } });
  const tags = [{ tags: ["here"] }, {}, { tags: ["here"] }];
  const served = await serveOne(redirect, backendsOf(all, tags), {}, { nearest: true, geography: { places } });
  cleanup.push(served.stop);
  const turns: string[] = [];
  for (let i = 0; i < 12; i++) turns.push(location(await ask(served, "/a")));
  const [first, second] = turns;
  expect([first, second].sort()).toEqual([at(all[0]!, "/a"), at(all[2]!, "/a")].sort());
  expect(turns).toEqual(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? first! : second!)));
  served.change(0, { state: "down" });
  expect(await goals(served, "/a")).toEqual([at(all[2]!, "/a")]);
  served.change(2, { state: "down" });
  expect(await goals(served, "/a")).toEqual([at(all[1]!, "/a")]);
});

test("behind another balancer the client's place is that of whom a trusted PROXY header names", async () => {
  const all = [mirror({}), mirror({})];
  const places = placesSchema.parse({ here: { networks: ["127.0.0.0/8"] }, there: { networks: ["203.0.113.0/24"] } });
  const tags = [{ tags: ["here"] }, { tags: ["there"] }];
  const more = { nearest: true, geography: { places } };
  const header = "PROXY TCP4 203.0.113.9 192.0.2.1 5656 80\r\n";
  const get = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const served = await serveOne(redirect, backendsOf(all, tags), { acceptProxy: ["127.0.0.1"] }, more);
  cleanup.push(served.stop);
  expect(
    location(
      await client(served)
        .send(header + get)
        .gone(),
    ),
  ).toBe(at(all[1]!, "/a"));
  expect(await client(served).send(get).gone()).toBe("");
  const strict = await serveOne(redirect, backendsOf(all, tags), {}, more);
  cleanup.push(strict.stop);
  expect(location(await client(strict).send(get).gone())).toBe(at(all[0]!, "/a"));
  expect(
    await client(strict)
      .send(header + get)
      .gone(),
  ).toStartWith("HTTP/1.1 400 ");
});

test("nothing a client sends names a host, leaves a folder, or gets into a document unescaped", async () => {
  const all = [mirror({ "//evil.example/a": file, "/a": file })];
  const served = await serve(backendsOf(all), { fallback: "http://origin.example/pub" });
  const slashes = await ask(served, "//evil.example/a");
  expect(location(slashes)).toBe(at(all[0]!, "//evil.example/a"));
  expect(slashes).not.toContain("describedby");
  expect(slashes.match(/evil\.example/g)!.length).toBe(2); // in Location and in the duplicate's path
  for (const path of ["/../a", "/x/%2e%2E/a", "/..?mirrorlist", "/a/..%5c", "/\\evil"])
    expect([path, location(await ask(served, path))]).toEqual([
      path,
      path === "/a/..%5c" ? "http://origin.example/pub/a/..%5c" : "HTTP/1.1 400 Bad Request",
    ]);
  for (const path of ["/\\evil.meta4", "/a\\b?mirrorlist", "/../a.meta4"])
    expect([path, (await ask(served, path)).split("\r\n")[0]]).toEqual([path, "HTTP/1.1 400 Bad Request"]);
  const star = client(served).send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(await star.gone()).toStartWith("HTTP/1.1 400 ");
  expect(location(await ask(served, "http://evil.example/a"))).toBe(at(all[0]!, "/a"));
  const page = await ask(served, "/%3Cscript%3E'?mirrorlist", "Accept: text/html\r\n");
  expect(page).not.toContain("<script>");
  expect(page).toContain("&lt;script&gt;&apos;");
});

test("other methods and bodies go to any backend, unasked", async () => {
  const all = [mirror({})];
  const served = await serve(backendsOf(all));
  const end = client(served).send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
  expect(location(await end.gone())).toBe(at(all[0]!, "/a"));
  expect(all[0]!.asked).toEqual([]);
});
