import { expect, test } from "bun:test";
import { PathMtus, toldMtu } from "./path-mtu.ts";

const MINUTE = 60_000;
const error = { mtu: 1400, source: "10.0.0.1", target: "10.1.0.20", protocol: 4, length: 1500, port: null };

test("a router's word is what it says, never less than every path carries, and never what would have fitted", () => {
  expect(toldMtu(error)).toBe(1400);
  expect(toldMtu({ ...error, mtu: 68 })).toBe(576);
  expect(toldMtu({ ...error, target: "2001:db8::20", mtu: 68 })).toBe(1280);
  expect(toldMtu({ ...error, mtu: 1500 })).toBeNull();
  expect(toldMtu({ ...error, mtu: 9000 })).toBeNull();
});

test("of a router that says no size the next smaller common one is taken (RFC 1191)", () => {
  expect(toldMtu({ ...error, mtu: 0 })).toBe(1492);
  expect(toldMtu({ ...error, mtu: 0, length: 1492 })).toBe(1006);
  expect(toldMtu({ ...error, mtu: 0, length: 800 })).toBe(576);
});

test("a smaller size is taken, a larger one never; both hold for ten minutes after the last word of that size", () => {
  const mtus = new PathMtus();
  const all = (): boolean => true;
  expect(mtus.learn("10.1.0.20", 1400, 0)).toBe(true);
  expect(mtus.learn("10.1.0.20", 1450, 0)).toBe(false);
  expect(mtus.of("10.1.0.20")).toBe(1400);
  expect(mtus.learn("10.1.0.20", 1400, 5 * MINUTE)).toBe(false);
  expect(mtus.learn("10.1.0.21", 1300, 6 * MINUTE)).toBe(true);
  expect(mtus.forget(10 * MINUTE, all)).toEqual([]);
  expect(mtus.forget(15 * MINUTE, all)).toEqual(["10.1.0.20"]);
  expect([mtus.of("10.1.0.20"), mtus.of("10.1.0.21")]).toEqual([undefined, 1300]);
});

test("of very many addresses only some are kept, and those that nobody sends to are forgotten", () => {
  const mtus = new PathMtus();
  for (let i = 0; i < 5000; i++) mtus.learn(`10.1.${i >> 8}.${i & 255}`, 1400, 0);
  expect(mtus.addresses.length).toBe(1024);
  expect(mtus.learn("10.1.0.0", 1300, 0)).toBe(true);
  expect(mtus.forget(0, (address) => address === "10.1.0.0").length).toBe(1023);
  expect(mtus.addresses).toEqual(["10.1.0.0"]);
});
