import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { addressOctets, clientNetwork, fromBytes16, parseAddress, toBytes16 } from "./address.ts";

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

describe("the network that is one client", () => {
  test("is an IPv4 address, mapped or not, and so many bits of an IPv6 one, whatever its zone", () => {
    expect(clientNetwork("192.0.2.7", 64)).toBe("192.0.2.7");
    expect(clientNetwork("::ffff:192.0.2.7", 64)).toBe("192.0.2.7");
    expect(clientNetwork("2001:db8:1:2:3:4:5:6", 64)).toBe("2001:db8:1:2::/64");
    expect(clientNetwork("2001:db8:1:2fff::6", 56)).toBe("2001:db8:1:2f00::/56");
    expect(clientNetwork("2001:db8::6", 128)).toBe("2001:db8::6");
    expect(clientNetwork("fe80::1%eth0", 64)).toBe("fe80::/64");
  });

  test("is the same for two addresses just when their first bits are", () => {
    const address = fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((bytes) => Uint8Array.of(0x20, ...bytes.slice(1)));
    const bitsOf = (bytes: Uint8Array): string =>
      [...bytes].map((octet) => octet.toString(2).padStart(8, "0")).join("");
    fc.assert(
      fc.property(address, fc.nat(127), fc.integer({ min: 1, max: 128 }), (bytes, flipped, bits) => {
        const other = bytes.slice();
        other[flipped >> 3]! ^= 0x80 >> (flipped & 7);
        const same = bitsOf(bytes).slice(0, bits) === bitsOf(other).slice(0, bits);
        const [a, b] = [fromBytes16(bytes), fromBytes16(other)];
        if (a.includes(":") && b.includes(":")) expect(clientNetwork(a, bits) === clientNetwork(b, bits)).toBe(same);
      }),
    );
  });
});
