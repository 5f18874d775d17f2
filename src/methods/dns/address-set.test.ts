import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AddressSet } from "./address-set.ts";

const targets = [0, 1, 2, 3].map((id) => ({ id, address: `192.0.2.${id}` }));
/** Last octets of the addresses written, in order. */
const read = (out: Uint8Array, count: number): number[] => Array.from({ length: count }, (_, i) => out[i * 16 + 15]!);

describe("answers drawn ahead", () => {
  test("are those that would have been drawn one by one, in the same order", () => {
    const set = new AddressSet(targets, 30, 4);
    const out = new Uint8Array(64);
    let turn = 0;
    const orders = {
      order: (): number[] => {
        const start = turn++;
        return targets.map((_, i) => (start + i) % 4);
      },
    };
    for (let i = 0; i < 200; i++) {
      expect(set.deal(out, 0, orders, false)).toBe(4);
      expect(read(out, 4)).toEqual([0, 1, 2, 3].map((j) => (i + j) % 4));
      expect(set.first).toBe(i % 4);
    }
  });

  test("are few for a name that is asked for seldom", () => {
    const set = new AddressSet(targets, 30, 4);
    let drawn = 0;
    const orders = {
      order: (): number[] => {
        drawn++;
        return [0, 1, 2, 3];
      },
    };
    const ahead = Array.from({ length: 40 }, (_, i) => {
      set.deal(new Uint8Array(64), 0, orders, false);
      return drawn - i - 1;
    });
    expect(ahead[0]).toBe(0);
    expect(Math.max(...ahead)).toBeLessThan(16);
  });
});

test("any order gives each address once, at most as many as allowed", () => {
  const ids = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 30 });
  fc.assert(
    fc.property(ids, fc.integer({ min: 1, max: 6 }), (order, most) => {
      const set = new AddressSet([...targets, { id: 7, address: "192.0.2.1" }], 30, most);
      const out = new Uint8Array(64);
      const count = set.writeOrdered(out, 0, order);
      const known = order.flatMap((id) => (id === 7 ? [1] : id < 4 ? [id] : []));
      expect(read(out, count)).toEqual([...new Set(known)].slice(0, most));
    }),
  );
});
