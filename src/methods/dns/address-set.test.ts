import { expect, test } from "bun:test";
import fc from "fast-check";
import { AddressSet } from "./address-set.ts";

const targets = [0, 1, 2, 3].map((id) => ({ id, address: `192.0.2.${id}` }));
/** Last octets of the addresses written, in order. */
const read = (out: Uint8Array, count: number): number[] => Array.from({ length: count }, (_, i) => out[i * 16 + 15]!);

test("any order gives each address once, at most as many as allowed", () => {
  const ids = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 30 });
  fc.assert(
    fc.property(ids, fc.integer({ min: 1, max: 6 }), (order, most) => {
      const set = new AddressSet([...targets, { id: 7, address: "192.0.2.1" }], 30, most);
      const out = new Uint8Array(64);
      const count = set.writeOrdered(out, 0, order);
      const known = order.flatMap((id) => (id === 7 ? [1] : id < 4 ? [id] : []));
      const wanted = [...new Set(known)].slice(0, most);
      expect(read(out, count)).toEqual(wanted);
      const numbers = new Uint8Array(8);
      set.pick(order, numbers, 1);
      // Those that an order does not name take turns.
      if (wanted.length === set.count) expect([...numbers.subarray(1, 1 + set.count)]).toEqual(wanted);
      else expect(new Set(numbers.subarray(1, 1 + set.count)).size).toBe(set.count);
    }),
  );
});
