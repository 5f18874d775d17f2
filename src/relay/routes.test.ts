import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseRequest, RequestHead } from "../protocols/http/request.ts";
import { type RouteOptions, route } from "./route-options.ts";
import { Routes } from "./routes.ts";

const limits = { size: 8192, fields: 50, target: 4096 };

interface Asked {
  method: string;
  host: string;
  path: string;
  fields: Record<string, string>;
}

/** Place of the route that is found; -1: none. */
function find(routes: Routes, { method, host, path, fields }: Asked): number {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join("")}\r\n`, "latin1");
  const head = new RequestHead(limits);
  expect(parseRequest(bytes, 0, bytes.length, limits, head)).toBe(bytes.length);
  return routes.find(bytes, head)?.order ?? -1;
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
      const all = raw.map((one) => route.parse(one.path !== undefined ? { ...one, prefix: undefined } : one));
      expect(find(new Routes(all), request)).toBe(all.findIndex((one) => fitsPlainly(one, request)));
    }),
    { numRuns: 2000 },
  );
});

/** The meaning of a route, written as plainly as can be. */
function fitsPlainly({ host, path, prefix, method, header }: RouteOptions, asked: Asked): boolean {
  const stem = prefix?.replace(/\/+$/, "");
  return (
    (host === undefined || (host.startsWith("*.") ? asked.host.endsWith(host.slice(1)) : asked.host === host)) &&
    (path === undefined || asked.path === path) &&
    (stem === undefined || asked.path === stem || asked.path.startsWith(`${stem}/`)) &&
    (method === undefined || method.includes(asked.method)) &&
    Object.entries(header).every(([, value]) => {
      const there = asked.fields["X-A"];
      return there !== undefined && (value === true || value === there);
    })
  );
}
