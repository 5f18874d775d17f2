import { expect, test } from "bun:test";
import fc from "fast-check";
import { Numbers } from "./numbers.ts";

test("the highest of the next numbers is known before they are taken, whatever was taken and freed", () => {
  const number = fc.nat(11);
  const property = fc.property(fc.array(number), fc.array(number), number, (claimed, freed, count) => {
    const numbers = new Numbers(12);
    for (const one of claimed) numbers.claim(one);
    for (const one of freed) numbers.free(one);
    const told = numbers.highest(count);
    const taken = Array.from({ length: count }, () => numbers.take());
    expect(told).toBe(taken.includes(-1) ? -1 : Math.max(-1, ...taken));
  });
  fc.assert(property);
});
