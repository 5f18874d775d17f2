import { expect, test } from "bun:test";
import { acceptProxy } from "./limits.ts";
import { TrustList } from "./trust.ts";

const trusts = (networks: string[], address: string): boolean => new TrustList(networks).has(address);

test("an address is trusted alone, a network as far as its prefix goes", () => {
  for (const [network, inside, outside] of [
    ["192.0.2.1", "192.0.2.1", "192.0.2.2"],
    ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.0"],
    ["2001:db8::1", "2001:db8::1", "2001:db8::2"],
    ["2001:db8::1", "2001:0db8:0::1", "2001:db8:8000::1"],
    ["10.0.0.0/9", "10.127.255.255", "10.128.0.0"],
    ["2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"],
    ["0.0.0.0/0", "203.0.113.1", "::1"],
    ["::/0", "::1", "203.0.113.1"],
  ] as const)
    expect([network, trusts([network], inside), trusts([network], outside)]).toEqual([network, true, false]);
});

test("of several any is enough; of none nobody, and what is no address never", () => {
  expect(trusts(["192.0.2.1", "::1"], "::1")).toBe(true);
  expect(trusts([], "::1")).toBe(false);
  for (const text of ["", "localhost", "1.2.3", "1.2.3.4.5", "::1%lo", "0x7f000001"])
    expect([text, trusts(["0.0.0.0/0", "::/0"], text)]).toEqual([text, false]);
});

test("what an option may name: no abbreviation, no octal number, no host bits, which would be another network", () => {
  const named = (text: string): boolean => acceptProxy.safeParse([text]).success;
  for (const text of ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"])
    expect([text, named(text)]).toEqual([text, true]);
  for (const text of [
    "lan",
    "10/8",
    "010.0.0.0/8",
    "0x0a.0.0.0/8",
    "10.0.0.0/33",
    "10.0.0.0/",
    "/8",
    "::/129",
    "10.0.0.1/8",
  ])
    expect([text, named(text), trusts([text], "0.0.0.10"), trusts([text], "10.0.0.1")]).toEqual([
      text,
      false,
      false,
      false,
    ]);
});
