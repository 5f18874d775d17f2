import { afterEach, expect, test } from "bun:test";
import { createSticky } from "../../relay/sticky.ts";
import { aBackend, deadPort, dial, RawBackend, type Served, serveOne } from "../../relay/testing.ts";
import { proxy } from "./index.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const SECRET = "0123456789abcdef";

function backends(count: number, tags: string[][] = []) {
  return Array.from({ length: count }, (_, i) => {
    const answer = `HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 1\r\n\r\n${i}`;
    const raw = new RawBackend((end) => end.got.endsWith("\r\n\r\n") && end.send(answer));
    cleanup.push(() => raw.stop());
    return aBackend(i, raw.port, { tags: tags[i] ?? [] });
  });
}
async function serve(given: ReturnType<typeof backends>, options: object): Promise<Served> {
  const served = await serveOne(proxy, given, options);
  cleanup.push(served.stop);
  return served;
}
/** Who answered, and the cookie that came with it. */
async function ask(served: Served, cookie = "", path = "/"): Promise<{ by: string; cookie: string }> {
  const line = cookie === "" ? "" : `Cookie: ${cookie}\r\n`;
  const end = dial(served.port).send(`GET ${path} HTTP/1.1\r\nHost: a\r\n${line}Connection: close\r\n\r\n`);
  const got = await end.gone();
  return { by: got.at(-1)!, cookie: /Set-Cookie: ([^;]+); Path=\/; HttpOnly; SameSite=Lax/.exec(got)?.[1] ?? "" };
}

test("a client that shows its cookie goes where it was, and gets no other", async () => {
  const served = await serve(backends(3), { sticky: { secret: SECRET } });
  const first = await ask(served);
  expect(first.cookie).toMatch(/^sluice=[\w-]{24}$/);
  for (let i = 0; i < 6; i++)
    expect(await ask(served, `a=b; ${first.cookie}; c`)).toEqual({ by: first.by, cookie: "" });
  const all = new Set<string>();
  for (let i = 0; i < 6; i++) all.add((await ask(served)).by);
  expect(all.size).toBe(3);
});

test("a draining backend keeps its clients; of one that is down they go to another, with its cookie", async () => {
  const served = await serve(backends(2), { sticky: { cookie: "home", secret: SECRET, age: "1h" } });
  const { by, cookie } = await ask(served);
  served.change(Number(by), { state: "draining" });
  expect((await ask(served, cookie)).by).toBe(by);
  served.change(Number(by), { state: "down" });
  const other = await ask(served, cookie);
  expect(other.by).not.toBe(by);
  expect(other.cookie).toStartWith("home=");
  expect(other.cookie).not.toBe(cookie);
});

test("the cookie lives as long as its age says, and else as long as the browser", async () => {
  for (const [more, end] of [
    [{ age: "1h" }, "; Max-Age=3600"],
    [{}, ""],
  ] as const) {
    const served = await serve(backends(1), { sticky: { secret: SECRET, ...more } });
    const got = await dial(served.port).send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gone();
    expect(/Set-Cookie: sluice=[\w-]+(.*)\r\n/.exec(got)?.[1]).toBe(`; Path=/; HttpOnly; SameSite=Lax${end}`);
  }
});

test("a cookie that was not made here is worth nothing", async () => {
  const given = backends(2);
  const [ours, theirs] = [
    await serve(given, { sticky: { secret: SECRET } }),
    await serve(given, { sticky: { secret: `${SECRET}!` } }),
  ];
  const { cookie } = await ask(theirs);
  for (const wrong of [cookie, "sluice=0", "sluice=", "sluice", `sluice=${"A".repeat(24)}`])
    expect((await ask(ours, wrong)).cookie).toStartWith("sluice=");
});

test("a service's cookie says nothing to another under the same secret, nor in another field or under another name", async () => {
  const given = backends(2);
  const snapshot = { service: "…", revision: 1, generation: 1, backends: given, eligible: [0, 1] };
  const lineOf = (service: string, id: number): string =>
    createSticky({ secret: SECRET }, service, snapshot, 0).line(id)!.toString();
  const lines = ["one", "two"].flatMap((service) => [lineOf(service, 0), lineOf(service, 1)]);
  expect(new Set(lines).size).toBe(4);
  expect(lineOf("one", 0)).toBe(lines[0]!);
  const served = await serve(given, { sticky: { secret: SECRET } });
  const { cookie } = await ask(served);
  for (const line of [`X-Cookie: ${cookie}`, `Cookie: x${cookie}`, `Cookie: Sluice${cookie.slice(6)}`]) {
    const end = dial(served.port).send(`GET / HTTP/1.1\r\nHost: a\r\n${line}\r\nConnection: close\r\n\r\n`);
    expect(await end.gone()).toContain("Set-Cookie: sluice=");
  }
});

test("a route that leads elsewhere wins over the cookie", async () => {
  const options = { sticky: { secret: SECRET }, routes: [{ prefix: "/b", to: "b" }] };
  const served = await serve(backends(2, [["a"], ["b"]]), options);
  let home = await ask(served);
  while (home.by !== "0") home = await ask(served);
  expect((await ask(served, home.cookie, "/b")).by).toBe("1");
  expect((await ask(served, home.cookie, "/")).by).toBe("0");
});

/** Who answers a request with this field. */
async function askAs(served: Served, line: string, path = "/"): Promise<string> {
  const end = dial(served.port).send(`GET ${path} HTTP/1.1\r\nHost: a\r\n${line}Connection: close\r\n\r\n`);
  const got = await end.gone();
  expect(got).not.toContain("Set-Cookie");
  return got.at(-1)!;
}

test("by a field: its value has one backend, values spread, and without it the scheduler chooses", async () => {
  const served = await serve(backends(4), { sticky: { header: "X-Session" } });
  const homes = new Map<string, string>();
  for (let i = 0; i < 40; i++) homes.set(`s${i}`, await askAs(served, `X-Session: s${i}\r\n`));
  expect(new Set(homes.values()).size).toBe(4);
  for (const [value, home] of homes) expect(await askAs(served, `x-SESSION:  ${value} \r\n`)).toBe(home);
  const others = new Set<string>();
  for (const line of ["", "", "X-Session: \r\n", "X-Session: \r\n"]) others.add(await askAs(served, line));
  expect(others.size).toBe(4);
  served.change(2, { state: "down" });
  // A table of Maglev's keeps nearly all others where they are; which ones hangs on the ports that the backends got.
  let moved = 0;
  for (const [value, home] of homes) {
    const now = await askAs(served, `X-Session: ${value}\r\n`);
    expect(now).not.toBe("2");
    if (home !== "2" && now !== home) moved++;
    if (home === "2") expect(await askAs(served, `X-Session: ${value}\r\n`)).toBe(now);
  }
  expect(moved).toBeLessThanOrEqual(4);
  served.change(2, { state: "up" });
  for (const [value, home] of homes) expect(await askAs(served, `X-Session: ${value}\r\n`)).toBe(home);
});

test("by the client: one address has one backend, of the route's where one leads elsewhere", async () => {
  const options = { sticky: { client: true }, routes: [{ prefix: "/b", to: "b" }] };
  const served = await serve(backends(6, [["a"], ["a"], ["b"], ["b"], ["a"], ["a"]]), options);
  const home = await askAs(served, "");
  for (let i = 0; i < 8; i++) expect(await askAs(served, "")).toBe(home);
  const routed = await askAs(served, "", "/b");
  expect(["2", "3"]).toContain(routed);
  for (let i = 0; i < 4; i++) expect(await askAs(served, "", "/b")).toBe(routed);
});

test("by the client: whom a PROXY header names, not who brings it", async () => {
  const served = await serve(backends(4), { sticky: { client: true }, acceptProxy: ["127.0.0.1"] });
  const askFor = async (client: string): Promise<string> => {
    const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    return (await dial(served.port).send(`PROXY TCP4 ${client} 192.0.2.1 1 80\r\n${get}`).gone()).at(-1)!;
  };
  const homes = new Map<string, string>();
  for (let i = 0; i < 40; i++) homes.set(`203.0.113.${i}`, await askFor(`203.0.113.${i}`));
  expect(new Set(homes.values()).size).toBeGreaterThan(1);
  for (const [client, home] of homes) expect(await askFor(client)).toBe(home);
});

test("by a field: a home that is full or refuses the connection is passed over", async () => {
  const given = backends(2);
  const served = await serve(given, { sticky: { header: "X-Session" } });
  const home = await askAs(served, "X-Session: a\r\n");
  served.change(Number(home), { limit: 0 });
  expect(await askAs(served, "X-Session: a\r\n")).not.toBe(home);
  const other = await serve([aBackend(0, deadPort()), given[1]!], { sticky: { header: "X-Session" } });
  for (let i = 0; i < 10; i++) expect(await askAs(other, `X-Session: ${i}\r\n`)).toBe("1");
});
