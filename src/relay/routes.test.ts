import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseRequest, RequestHead } from "../protocols/http/request.ts";
import { type RouteOptions, route } from "./route-options.ts";
import { AMBIGUOUS, Routes } from "./routes.ts";

const limits = { size: 8192, fields: 50, target: 4096 };

interface Asked {
  method: string;
  host: string;
  path: string;
  fields: Record<string, string>;
}

/** Place of the route that is found; -1: none, -2: refused. */
function find(routes: Routes, { method, host, path, fields }: Asked, place = -1): number {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join("")}\r\n`, "latin1");
  const head = new RequestHead(limits);
  expect(parseRequest(bytes, 0, bytes.length, limits, head)).toBe(bytes.length);
  const route = routes.find(bytes, head, place);
  return route === AMBIGUOUS ? -2 : (route?.order ?? -1);
}
const made = (...all: Parameters<typeof route.parse>[0][]) => new Routes(all.map((one) => route.parse(one)));
const get = (path: string, host = "a.example", fields: Record<string, string> = {}): Asked => ({
  method: "GET",
  host,
  path,
  fields,
});

test("a prefix ends at a slash or at the end; a query is no part of a path", () => {
  const routes = made({ prefix: "/api" }, { path: "/" }, { prefix: "/docs/" });
  const paths = ["/api", "/api/", "/api/x?y", "/apis", "/", "/?q", "/docs", "/docs/a/b", "/x"];
  expect(paths.map((path) => find(routes, get(path)))).toEqual([0, 0, 0, -1, 1, 1, 2, 2, -1]);
});

test("hosts: exact, of any case, with port or root dot; * stands for one label or more, never for none", () => {
  const routes = made({ host: "shop.example" }, { host: "*.shop.example" });
  const hosts = [
    "shop.example",
    "SHOP.Example:8080",
    "shop.example.",
    "a.shop.example",
    "a.b.shop.example",
    "xshop.example",
  ];
  expect(hosts.map((host) => find(routes, get("/", host)))).toEqual([0, 0, 0, 1, 1, -1]);
});

test("methods and values by case, names not; several fields of a name: any may fit", () => {
  const routes = made({ method: ["POST", "PUT"] }, { header: { "X-Team": "red" } }, { header: { "x-any": true } });
  expect(find(routes, { ...get("/"), method: "PUT" })).toBe(0);
  expect(find(routes, { ...get("/"), method: "put" })).toBe(-1);
  expect(find(routes, get("/", "a", { "x-TEAM": "red" }))).toBe(1);
  expect(find(routes, get("/", "a", { "X-Team": "Red" }))).toBe(-1);
  expect(find(routes, get("/", "a", { "x-team": "blue", "X-Team": "red" }))).toBe(1);
  expect(find(routes, get("/", "a", { "X-Any": "" }))).toBe(2);
});

test("regular expressions are for the whole path, beside the other ways to name one", () => {
  const routes = made({ regex: "/img/.*\\.(png|jpg)" }, { prefix: "/img" }, { host: "b.example", regex: "/v\\d+/x" });
  const asked = [
    get("/img/a.png?x"),
    get("/img/a.gif"),
    get("/v12/x", "b.example"),
    get("/v12/x"),
    get("/v/x", "b.example"),
  ];
  expect(asked.map((one) => find(routes, one))).toEqual([0, 1, 2, -1, -1]);
});

test("parameters of the query, decoded; cookies; places", () => {
  const routes = made(
    { query: { v: "a b", debug: true } },
    { cookie: { beta: "1" } },
    { cookie: { any: true } },
    { place: ["eu", "us"] },
  );
  const queries = ["/?v=a+b&debug", "/?debug=1&%76=a%20b", "/?v=a%20b", "/?xv=a+b&debug", "/?v=%zz&debug", "/"];
  expect(queries.map((path) => find(routes, get(path)))).toEqual([0, 0, -1, -1, -1, -1]);
  const cookies = ["a=2; beta=1", "beta=1", "beta=11", "xbeta=1", "any=", "notany=1"];
  expect(cookies.map((Cookie) => find(routes, get("/", "a", { Cookie })))).toEqual([1, 1, -1, -1, 2, -1]);
  const placed = new Routes([route.parse({ place: ["eu", "us"] })], ["us", "jp", "eu"]);
  expect([0, 1, 2, -1].map((place) => find(placed, get("/"), place))).toEqual([0, -1, 0, -1]);
});

test("a path of slashes and a host of dots cost no more than the longest route asks", () => {
  const routes = made({ prefix: "/a/b" }, { host: "*.shop.example" });
  const began = performance.now();
  for (let i = 0; i < 2000; i++) find(routes, get("/".repeat(4000), `${"a.".repeat(1000)}other.example`));
  // Looked at whole it would be 16 million octets for each slash: this limit only shows that.
  expect(performance.now() - began).toBeLessThan(20_000);
});

test("any routes, any request: the index finds what reading the list from the top would", () => {
  const hostWord = fc.constantFrom("a.test", "b.a.test", "test", "c.b.a.test");
  const pathWord = fc.array(fc.constantFrom("x", "y", "xy"), { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
  const someRoute = fc.record(
    {
      host: fc.oneof(
        hostWord,
        hostWord.map((host) => `*.${host}`),
      ),
      path: pathWord,
      prefix: pathWord,
      regex: pathWord.map((path) => `${path}(/.*|y+)?`),
      method: fc.constantFrom(["GET"], ["POST", "GET"]),
      header: fc.constantFrom({ "x-a": true }, { "x-a": "1" }),
    },
    { requiredKeys: [] },
  );
  const asked = fc.record({
    method: fc.constantFrom("GET", "POST"),
    host: hostWord,
    path: pathWord,
    fields: fc.constantFrom<Record<string, string>>({}, { "X-A": "1" }, { "X-A": "2" }),
  });
  fc.assert(
    fc.property(fc.array(someRoute, { maxLength: 12 }), asked, (raw, request) => {
      const all = raw.map((one) => route.parse(onePath(one)));
      expect(find(new Routes(all), request)).toBe(all.findIndex((one) => fitsPlainly(one, request)));
    }),
    { numRuns: 2000 },
  );
});

/** A route names paths in one way. */
const onePath = <R extends { path?: string; prefix?: string; regex?: string }>(one: R): R => {
  const { path, prefix, regex } = one;
  return { ...one, prefix: path === undefined ? prefix : undefined, regex: (path ?? prefix) ? undefined : regex };
};

/** The meaning of a route, written as plainly as can be. */
function fitsPlainly({ host, path, prefix, regex, method, header }: RouteOptions, asked: Asked): boolean {
  const stem = prefix?.replace(/\/+$/, "");
  return (
    (host === undefined || (host.startsWith("*.") ? asked.host.endsWith(host.slice(1)) : asked.host === host)) &&
    (path === undefined || asked.path === path) &&
    (stem === undefined || asked.path === stem || asked.path.startsWith(`${stem}/`)) &&
    (regex === undefined || new RegExp(`^${regex}$`).test(asked.path)) &&
    (method === undefined || method.includes(asked.method)) &&
    Object.entries(header).every(([, value]) => {
      const there = asked.fields["X-A"];
      return there !== undefined && (value === true || value === there);
    })
  );
}
