import { expect, test } from "bun:test";
import { ascii } from "../protocols/http/octets.ts";
import { Site } from "./site.ts";
import { isNetwork, TrustList } from "./trust.ts";

const find = (site: Site<string>, host: string) => site.find(ascii(host), 0, host.length);

test("services that share a listener are told apart by host", () => {
  const site = new Site([
    { names: ["shop.example", "www.shop.example"], service: "shop" },
    { names: ["*.example"], service: "wild" },
    { names: ["*.deep.example"], service: "deep" },
  ]);
  expect(
    ["SHOP.example:8080", "shop.example.", "a.example", "x.deep.example", "other", ".example"].map((h) =>
      find(site, h),
    ),
  ).toEqual(["shop", "shop", "wild", "deep", null, null]);
  expect(site.find(ascii(""), -1, -1)).toBeNull();
});

test("one without names takes the rest; a service alone takes all", () => {
  const rest = new Site([
    { names: ["a"], service: "a" },
    { names: [], service: "rest" },
  ]);
  expect([find(rest, "a"), find(rest, "b"), rest.find(ascii(""), -1, -1)]).toEqual(["a", "rest", "rest"]);
  expect(find(new Site([{ names: ["a"], service: "a" }]), "b")).toBe("a");
});

test("trusted networks of both families", () => {
  const list = new TrustList(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]);
  expect(["10.1.2.3", "192.0.2.1", "::ffff:10.0.0.1", "2001:db8::5"].every((a) => list.has(a))).toBe(true);
  expect(["11.0.0.1", "192.0.2.2", "2001:db9::5", "nonsense"].some((a) => list.has(a))).toBe(false);
  expect(["10.0.0.0/8", "::1", "2001:db8::/32"].every(isNetwork)).toBe(true);
  expect(["10.0.0.0/33", "example", "10.0.0"].some(isNetwork)).toBe(false);
});
