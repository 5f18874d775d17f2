import { expect, test } from "bun:test";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, dial, type End, RawBackend, type Served } from "../../relay/testing.ts";
import { proxy } from "./index.ts";

const { cleanup, serve } = httpStage(proxy);

/** A backend that answers every request with its name. */
function named(name: string): RawBackend {
  const answer = `HTTP/1.1 200 OK\r\nDate: x\r\nServer: ${name}\r\nX-Old: 1\r\nContent-Length: 1\r\n\r\n${name}`;
  const backend = new RawBackend((end) => end.got.endsWith("\r\n\r\n") && end.send(answer));
  cleanup.push(() => backend.stop());
  return backend;
}
async function ask(served: Served, head: string): Promise<string> {
  const end: End = dial(served.port).send(`${head}\r\nConnection: close\r\n\r\n`);
  cleanup.push(() => end.stop());
  return end.gone();
}
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a`;

test("requests go to the backends of their route's tag; what fits no route goes to all", async () => {
  const [a, b] = [named("A"), named("B")];
  const backends = [aBackend(0, a.port, { tags: ["web"] }), aBackend(1, b.port, { tags: ["api"], tier: 1 })];
  const served = await serve(backends, { routes: [{ prefix: "/api", to: "api" }] });
  for (let i = 0; i < 4; i++) expect(await ask(served, get("/api/x"))).toEndWith("\r\n\r\nB");
  for (let i = 0; i < 4; i++) expect(await ask(served, get("/x"))).toEndWith("\r\n\r\nA");
  expect(["0/requests", "1/requests", "0/active", "1/active"].map(served.count)).toEqual([4, 4, 0, 0]);
  served.change(1, { state: "down" });
  expect(await ask(served, get("/api"))).toContain("SLUICE_NO_BACKEND");
  served.change(1, { state: "up" });
  expect(await ask(served, get("/api"))).toEndWith("\r\n\r\nB");
});

test("a path that a backend may read as another route's reaches no backend, unless paths count as sent", async () => {
  const [a, b] = [named("A"), named("B")];
  const backends = [aBackend(0, a.port, { tags: ["web"] }), aBackend(1, b.port, { tags: ["inner"] })];
  const routes = [{ prefix: "/admin", to: "inner" }, { to: "web" }];
  const served = await serve(backends, { routes });
  for (const path of ["//admin", "/%61dmin", "/x/../admin", "/x/..%2Fadmin"])
    expect(await ask(served, get(path))).toMatch(/^HTTP\/1\.1 400 .*ambiguous path/s);
  expect(["0/requests", "1/requests", "0/active", "1/active"].map(served.count)).toEqual([0, 0, 0, 0]);
  expect(await ask(served, get("/x//y"))).toEndWith("A");
  expect(await ask(served, get("/admin//y"))).toEndWith("B");
  expect(b.connections.at(-1)!.got).toStartWith("GET /admin//y HTTP/1.1\r\n");
  const loose = await serve(backends, { routes, paths: "as-sent" });
  expect(await ask(loose, get("/x/../admin"))).toEndWith("A");
  expect(a.connections.at(-1)!.got).toStartWith("GET /x/../admin HTTP/1.1\r\n");
});

test("a split follows its weights, and goes around a tag that has no backend left", async () => {
  const [a, b] = [named("A"), named("B")];
  const backends = [aBackend(0, a.port, { tags: ["old"] }), aBackend(1, b.port, { tags: ["new"] })];
  const to = [{ tag: "old", weight: 0 }, { tag: "new" }];
  const served = await serve(backends, { routes: [{ to }] });
  for (let i = 0; i < 8; i++) expect(await ask(served, get("/"))).toEndWith("B");
  served.change(1, { state: "draining" });
  expect(await ask(served, get("/"))).toEndWith("A");
  const even = await serve(backends, { routes: [{ to: [{ tag: "old" }, { tag: "new" }] }] });
  for (let i = 0; i < 40; i++) await ask(even, get("/"));
  expect(even.count("0/requests")).toBeGreaterThan(5);
  expect(even.count("1/requests")).toBeGreaterThan(5);
});

test("heads are edited on the way, both ways, also when the request is sent again", async () => {
  const dying = new RawBackend((end) => end.stop());
  cleanup.push(() => dying.stop());
  const living = named("A");
  const request = { set: { "X-Team": "red" }, remove: ["Cookie"] };
  const response = { set: { Server: "ours", "X-New": "2" }, remove: ["x-old"] };
  const served = await serve([aBackend(0, dying.port), aBackend(1, living.port)], { routes: [{ request, response }] });
  for (let i = 0; i < 2; i++)
    expect(await ask(served, `${get("/")}\r\nCookie: a\r\ncookie: b\r\nx-team: blue\r\nX-Other: 1`)).toBe(
      "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 1\r\nServer: ours\r\nX-New: 2\r\nConnection: close\r\n\r\nA",
    );
  const heads = living.connections.map(({ got }) => got).join("");
  expect(heads).not.toMatch(/cookie|blue/i);
  expect(heads.match(/X-Other: 1\r\n/g)?.length).toBe(2);
  expect(heads.match(/X-Team: red\r\n\r\n/g)?.length).toBe(2);
});

test("names that a backend may fold together with one that is edited go with it", async () => {
  const backend = named("A");
  const request = { set: { "X-Auth-User": "nobody" }, remove: ["X-Auth-Role"] };
  const served = await serve([aBackend(0, backend.port)], { routes: [{ request }] });
  await ask(served, `${get("/")}\r\nX_Auth_User: root\r\nx-auth.user: root\r\nX_AUTH-ROLE: root\r\nX-Auth_Rolex: kept`);
  const { got } = backend.connections[0]!;
  expect(got).not.toContain("root");
  expect(got).toContain("X-Auth_Rolex: kept\r\n");
  expect(got).toContain("X-Auth-User: nobody\r\n");
});

test("path and query are edited on the way; what a route does not name goes on as it came", async () => {
  const backend = named("A");
  const routes = [
    { path: "/old", request: { path: "/new/place" } },
    { prefix: "/api/", request: { prefix: "/v2" } },
    { prefix: "/root", request: { prefix: "/" } },
    { path: "/q", request: { query: { set: { lang: "d&e", v: "2" }, remove: ["track", "a b"] } } },
    { path: "/both", request: { path: "/x", query: { remove: ["only"] } } },
  ];
  const served = await serve([aBackend(0, backend.port)], { routes });
  const targets: [string, string][] = [
    ["/old?a=1", "/new/place?a=1"],
    ["/api/x/y?z", "/v2/x/y?z"],
    ["/api", "/v2"],
    ["/root", "/"],
    ["/root/a", "/a"],
    ["/rooted", "/rooted"],
    ["/q", "/q?lang=d%26e&v=2"],
    ["/q?track=1&v=1&x=%20&a+b&%61%20b=3&y", "/q?x=%20&y&lang=d%26e&v=2"],
    ["/both?only=1", "/x"],
    ["http://a/api?x", "/v2?x"],
    ["/other?track=1", "/other?track=1"],
  ];
  for (const [target] of targets) expect(await ask(served, get(target))).toEndWith("A");
  const asked = backend.connections.map(({ got }) => got).join("");
  expect([...asked.matchAll(/^GET (.*) HTTP/gm)].map(([, target]) => target)).toEqual(targets.map(([, to]) => to));
});

test("what a route takes out of heads, or writes there, comes behind no body either", async () => {
  const chunks = (trailers: string): string => `2\r\nok\r\n0\r\n${trailers}\r\n`;
  const answer = `HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks("X-Inner: 1\r\nX-Free: 2\r\nx.old: 3\r\n")}`;
  const backend = new RawBackend((end) => end.got.endsWith("\r\n\r\n") && end.send(answer));
  cleanup.push(() => backend.stop());
  const request = { set: { "X-User": "nobody" }, remove: ["X-Admin"] };
  const response = { set: { "X-Old": "ours" }, remove: ["X-Inner"] };
  const served = await serve([aBackend(0, backend.port)], { routes: [{ request, response }] });
  const trailers = "X-User: root\r\nx_user: root\r\nX-ADMIN: yes\r\nX-Sum: 5\r\n";
  const end = dial(served.port).send(
    `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunks(trailers)}`,
  );
  cleanup.push(() => end.stop());
  expect((await end.gone()).split("\r\n\r\n")[1]).toBe("2\r\nok\r\n0\r\nX-Free: 2");
  const [head, body] = backend.connections[0]!.got.split("\r\n\r\n");
  expect(head).toContain("\r\nX-User: nobody");
  expect(body).toBe("2\r\nok\r\n0\r\nX-Sum: 5");
});

test("the longest names and values that may be written pass whole behind the largest head that may come", async () => {
  const fields = Array.from({ length: 32 }, (_, i) => [`X-${i}-`.padEnd(128, "n"), "v".repeat(4096)] as const);
  const own = `X-Own: ${"o".repeat(250 * 1024)}`;
  const backend = new RawBackend(
    (end) => end.got.endsWith("\r\n\r\n") && end.send(`HTTP/1.1 200 OK\r\n${own}\r\nContent-Length: 0\r\n\r\n`),
  );
  cleanup.push(() => backend.stop());
  const set = Object.fromEntries(fields);
  const limits = { response: "256KiB", head: "256KiB" };
  const served = await serve([aBackend(0, backend.port)], {
    limits,
    routes: [{ request: { set }, response: { set } }],
  });
  const head = (await ask(served, `${get("/")}\r\n${own}`)).split("\r\n");
  const asked = backend.connections[0]!.got.split("\r\n");
  for (const [name, value] of fields) {
    expect(head).toContain(`${name}: ${value}`);
    expect(asked).toContain(`${name}: ${value}`);
  }
  expect([head.includes(own), asked.includes(own)]).toEqual([true, true]);
});

test("clients of a place go to its route, and to its backends while one is eligible", async () => {
  const [a, b, c] = [named("A"), named("B"), named("C")];
  const geography = {
    places: { here: place(["127.0.0.0/8"], ["next"]), next: place([], []), far: place(["192.0.2.0/24"], []) },
  };
  const backends = [
    aBackend(0, a.port, { tags: ["here"] }),
    aBackend(1, b.port, { tags: ["next", "api"] }),
    aBackend(2, c.port, { tags: ["far"] }),
  ];
  const near = await serve(backends, { routes: [{ prefix: "/api", to: "api" }] }, { nearest: true, geography });
  for (let i = 0; i < 4; i++) expect(await ask(near, get("/"))).toEndWith("A");
  expect(await ask(near, get("/api"))).toEndWith("B");
  near.change(0, { state: "down" });
  for (let i = 0; i < 4; i++) expect(await ask(near, get("/"))).toEndWith("B");
  near.change(1, { state: "down" });
  expect(await ask(near, get("/"))).toEndWith("C");
  near.change(0, { state: "up" });
  expect(await ask(near, get("/"))).toEndWith("A");
  const routes = [
    { place: "far", to: "next" },
    { place: ["next", "here"], to: "far" },
  ];
  const routed = await serve(backends, { routes }, { geography });
  for (let i = 0; i < 4; i++) expect(await ask(routed, get("/"))).toEndWith("C");
});

const place = (networks: string[], next: string[]) => ({ countries: [], continents: [], networks, next });
