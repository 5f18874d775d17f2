import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseRequest, RequestHead } from "../protocols/http/request.ts";
import { freestReading, isPlain } from "./plain-path.ts";
import { route } from "./route-options.ts";
import { AMBIGUOUS, Routes } from "./routes.ts";

const head = new RequestHead({ fields: 10 });
const limits = { size: 8192, fields: 10, target: 4096 };

/** Place of the route that is found, "none" or "refused". */
function find(routes: Routes, path: string): number | "none" | "refused" {
  const bytes = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, "latin1");
  expect(parseRequest(bytes, 0, bytes.length, limits, head)).toBe(bytes.length);
  const found = routes.find(bytes, head);
  return found === AMBIGUOUS ? "refused" : (found?.order ?? "none");
}
const made = (all: Parameters<typeof route.parse>[0][], asSent = false) =>
  new Routes(
    all.map((one) => route.parse(one)),
    [],
    asSent,
  );

describe("a path that a backend may read so that another route fits is refused", () => {
  const routes = made([{ prefix: "/admin" }, { path: "/a/b" }, { prefix: "/static" }]);
  const cases: [path: string, found: number | "none" | "refused"][] = [
    ["/admin", 0],
    ["/admin/x?..//", 0],
    ["//admin", "refused"],
    ["/%61dmin/x", "refused"],
    ["/%61dmin/x?q", "refused"],
    ["/x%2F..%2fadmin", "refused"],
    ["/\\admin", "refused"],
    ["/%5cadmin", "refused"],
    ["/admin;v=1", "refused"],
    ["/a;x/b;y", "refused"],
    ["/a%2Fb", "refused"],
    ["/./admin", "refused"],
    ["/x/../admin", "refused"],
    ["/x/%2E%2e/admin", "refused"],
    ["/x/..;/admin", "refused"],
    ["/static/../admin", "refused"],
    ["/static/..", "refused"],
    ["/other/..", "refused"],
    ["/static%00", "refused"],
    ["/static/%61//b;c/d%2fe", 2],
    ["/static/caf%C3%A9%20%2541%%", 2],
    ["/.well-known/x", "none"],
    ["/...", "none"],
    ["/x//y;z", "none"],
    ["http://h//admin", "refused"],
  ];
  for (const [path, found] of cases) test(path, () => expect(find(routes, path)).toBe(found));
  test("the path of an absolute target that has none", () =>
    expect(find(made([{ path: "/" }]), "http://h?//")).toBe(0));
  test("as sent: each is what it is", () => {
    const asSent = made([{ prefix: "/admin" }], true);
    expect(["//admin", "/admin/..", "/%61dmin", "/admin"].map((path) => find(asSent, path))).toEqual([
      "none",
      0,
      "none",
      0,
    ]);
  });
  test("where no route looks at paths, none is refused", () => {
    expect(find(made([{ method: ["GET"] }]), "/x/../%61")).toBe(0);
  });
});

/** A segment of a path in one of the ways that a free reader takes for the same. */
const disguised = (segment: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom("/", "//", "///", "\\", "%2f", "%2F", "%5C", "/;p/", "/;p=1;q/"),
      fc.tuple(...[...segment].map((letter) => fc.tuple(fc.constant(letter), fc.boolean()))),
      fc.constantFrom("", ";", ";v=1"),
    )
    .map(
      ([slash, letters, end]) =>
        slash + letters.map(([c, escaped]) => (escaped ? `%${c.charCodeAt(0).toString(16)}` : c)).join("") + end,
    );

test("no disguise of a path gets it to another route", () => {
  const routes = made([{ path: "/a" }, { prefix: "/a/b" }, { path: "/b/a/b" }, { prefix: "/b" }, { path: "/~a" }]);
  const segments = fc.array(fc.constantFrom("a", "b", "~a", "c"), { minLength: 1, maxLength: 4 });
  const pair = segments.chain((all) =>
    fc.tuple(
      fc.constant(`/${all.join("/")}`),
      fc.tuple(...all.map(disguised)).map((parts) => parts.join("")),
    ),
  );
  fc.assert(
    fc.property(pair, ([plain, path]) => {
      expect(freestReading(path.startsWith("/") ? path : `/${path}`)).toBe(plain);
      if (path.startsWith("/")) expect(["refused", find(routes, plain)]).toContain(find(routes, path));
    }),
    { numRuns: 2000 },
  );
});

test("a path is plain when the freest reading of it is the path; reading twice changes nothing", () => {
  const octets = fc.array(fc.constantFrom(..."/.;%\\ab2fF5cE10"), { maxLength: 12 }).map((all) => `/${all.join("")}`);
  fc.assert(
    fc.property(octets, (path) => {
      const bytes = Buffer.from(path);
      const freest = freestReading(path);
      if (isPlain(bytes, 0, bytes.length)) expect(freest).toBe(path);
      if (freest !== null && !freest.includes("%")) expect(freestReading(freest)).toBe(freest);
    }),
    { numRuns: 5000 },
  );
});
