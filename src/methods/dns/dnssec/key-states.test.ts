import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  advance,
  begin,
  dsSeen,
  dueAt,
  entryKeys,
  firstKeys,
  type KeyTimes,
  type Role,
  signingKey,
  wantedKey,
  type ZoneKey,
} from "./key-states.ts";

const times: KeyTimes = { dnskeyTtl: 100, propagation: 10, zoneTtl: 1000, parentTtl: 500, zskLifetime: null };
let tag = 0;
const make = (role: Role) => ({ role, tag: ++tag, dnskey: `${tag}`, privateKey: "" });
const shown = (keys: readonly ZoneKey[]): string[] => keys.map((k) => `${k.role}:${k.state}`).sort();

describe("a zone-signing key", () => {
  test("is published before it signs, and stays until no cache has a signature of it", () => {
    let keys = begin(firstKeys(0, make), "zsk", 0, make).keys;
    const [old, next] = [signingKey(keys).tag, keys.at(-1)!.tag];
    keys = advance(keys, 109, times, make).keys;
    expect([signingKey(keys).tag, shown(keys)]).toEqual([old, ["ksk:active", "zsk:active", "zsk:published"]]);
    keys = advance(keys, 110, times, make).keys;
    expect([signingKey(keys).tag, shown(keys)]).toEqual([next, ["ksk:active", "zsk:active", "zsk:retired"]]);
    expect(advance(keys, 1119, times, make).said).toEqual([]);
    expect(shown(advance(keys, 1120, times, make).keys)).toEqual(["ksk:active", "zsk:active"]);
  });

  test("is replaced by itself at its age, once", () => {
    const aging = { ...times, zskLifetime: 5000 };
    let keys = firstKeys(0, make);
    expect(advance(keys, 4999, aging, make).said).toEqual([]);
    keys = advance(keys, 5000, aging, make).keys;
    expect(shown(keys)).toEqual(["ksk:active", "zsk:active", "zsk:published"]);
    expect(advance(keys, 5001, aging, make).said).toEqual([]);
  });
});

describe("a key-signing key", () => {
  test("waits for its DS in the parent, however long; the old one stays while its DS may be cached", () => {
    let keys = begin(firstKeys(0, make), "ksk", 0, make).keys;
    const [old, next] = [wantedKey(keys).tag, keys.at(-1)!.tag];
    expect(dsSeen(keys, next, 50)).toBeNull();
    expect(entryKeys(keys).map((k) => k.tag)).toEqual([old, next]);
    keys = advance(keys, 110, times, make).keys;
    expect(wantedKey(keys).tag).toBe(next);
    expect(advance(keys, 1e9, times, make).said).toEqual([]);
    keys = dsSeen(keys, next, 2000)!.keys;
    expect(shown(keys)).toEqual(["ksk:active", "ksk:retired", "zsk:active"]);
    expect(shown(advance(keys, 2510, times, make).keys)).toEqual(["ksk:active", "zsk:active"]);
    expect(dsSeen(keys, old, 3000)).toBeNull();
  });
});

test("whatever is asked at whatever time: a zone can always be signed, and what signs was published long enough", () => {
  const deed = fc.record({ wait: fc.nat(2000), what: fc.constantFrom("wait", "zsk", "ksk", "seen") });
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 40 }), (deeds) => {
      let now = 0;
      let keys = firstKeys(now, make);
      const published = new Map(keys.map((k) => [k.tag, Number.NEGATIVE_INFINITY]));
      for (const { wait, what } of deeds) {
        now += wait;
        keys = advance(keys, now, times, make).keys;
        if (what === "zsk" || what === "ksk") keys = begin(keys, what, now, make).keys;
        if (what === "seen") keys = dsSeen(keys, wantedKey(keys).tag, now)?.keys ?? keys;
        for (const key of keys) if (!published.has(key.tag)) published.set(key.tag, now);
        expect(keys.filter((k) => k.role === "zsk" && k.state === "active")).toHaveLength(1);
        expect(published.get(signingKey(keys).tag)!).toBeLessThanOrEqual(now - 110);
        expect(published.get(wantedKey(keys).tag)!).toBeLessThanOrEqual(now - 110);
        expect(keys.filter((k) => k.state === "published" || k.state === "ready").length).toBeLessThanOrEqual(2);
        for (const key of keys) expect(dueAt(key, times) ?? now + 1).toBeGreaterThan(now);
      }
    }),
  );
});
