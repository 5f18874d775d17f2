import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { addressOctets, fromBytes16, parseAddress, toBytes16 } from "./address.ts";

describe("an address as 16 bytes", () => {
  test("is mapped when it is of IPv4", () => {
    expect(toBytes16("125.12.0.255")).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 125, 12, 0, 255));
    expect(toBytes16("::ffff:125.12.0.255")).toEqual(toBytes16("125.12.0.255"));
  });

  test("is what it was read from, in either family", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseAddress(text)!;
        expect(fromBytes16(toBytes16(address))).toBe(address);
        const parsed = ipaddr.parse(address);
        const wide = parsed instanceof ipaddr.IPv4 ? parsed.toIPv4MappedAddress() : parsed;
        expect([...toBytes16(address)]).toEqual(wide.toByteArray());
        expect([...addressOctets(address)]).toEqual(parsed.toByteArray());
      }),
    );
  });

  test("of any other text there is none", () => {
    for (const text of ["", "125.12", "125.12.0.256", "sluice", "1:2"]) expect(() => toBytes16(text)).toThrow();
  });
});
