import { expect, test } from "bun:test";
import { ascii } from "../protocols/http/octets.ts";
import { Site } from "./site.ts";

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
