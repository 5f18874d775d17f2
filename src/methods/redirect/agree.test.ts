import { expect, test } from "bun:test";
import fc from "fast-check";
import { agree, type Finding, type Version } from "./agree.ts";

const v = (size: number, modified: number | null = null): Version => ({ size, modified, digest: null });
const of = (...findings: Finding[]) => new Map(findings.map((finding, id) => [id, finding]));

test("a reference decides; without one most decide, of equally many the newest", () => {
  const all = of(v(10, 1), v(10, 1), v(12, 2), "missing", "silent");
  expect(agree(all, null)).toEqual({ version: v(10, 1), holders: [0, 1], missing: false });
  expect(agree(all, v(12, 2))).toEqual({ version: v(12, 2), holders: [2], missing: false });
  expect(agree(all, "missing")).toEqual({ version: null, holders: [], missing: true });
  expect(agree(all, "silent")).toEqual(agree(all, null));
  expect(agree(all, v(13, 1))).toEqual({ version: v(13, 1), holders: [], missing: false });
  expect(agree(of(v(10, 1), v(10, 2)), null).holders).toEqual([1]);
  expect(agree(of("missing", "silent"), null)).toEqual({ version: null, holders: [], missing: false });
  expect([agree(of("missing", "missing"), "silent").missing, agree(of(), null).missing]).toEqual([true, false]);
});

test("a time that is not said agrees with any", () => {
  expect(agree(of(v(10), v(10, 5), v(11, 5)), null).holders).toEqual([0, 1]);
  expect(agree(of(v(10), v(10, 4)), v(10, 5)).holders).toEqual([0]);
});

test("of the same size and time, another digest is another file; one that is not said agrees with any", () => {
  const d = (digest: string | null): Version => ({ ...v(10, 1), digest });
  expect(agree(of(d("forged"), d("true"), d(null), d("true")), null)).toMatchObject({
    version: { digest: "true" },
    holders: [1, 2, 3],
  });
  expect(agree(of(v(10), v(10, 4), v(10, 5), v(10, 5)), null)).toMatchObject({ version: v(10, 5), holders: [0, 2, 3] });
  expect(agree(of(v(10), v(10), d("a"), v(11, 5)), null).version).toEqual(d("a"));
  expect(agree(of(d("forged"), d(null)), d("true")).holders).toEqual([1]);
});

test("of two that each say what the other does not, neither is the better; equal ones: the lower number", () => {
  const timed = v(10, 5);
  const digested: Version = { ...v(10), digest: "a" };
  expect(agree(of(digested, timed), null)).toMatchObject({ version: timed, holders: [0, 1] });
  expect(agree(of(timed, v(10, 6), digested), null)).toMatchObject({ version: digested, holders: [0, 1, 2] });
  expect(agree(of(v(10, 1), v(11, 1)), null)).toMatchObject({ version: v(10, 1), holders: [0] });
});

const finding = fc.oneof(
  fc.constantFrom<Finding>("missing", "silent"),
  fc.record({ size: fc.nat(2), modified: fc.option(fc.nat(2)), digest: fc.option(fc.constantFrom("a", "b")) }),
);

test("whatever is found: holders have the version's size, and are at least as many as any other version's", () => {
  fc.assert(
    fc.property(fc.array(finding, { maxLength: 8 }), (findings) => {
      const { version, holders } = agree(of(...findings), null);
      // In whichever order the answers came.
      expect(agree(new Map([...of(...findings)].reverse()), null)).toMatchObject({ version, holders });
      const having = findings.filter((one): one is Version => typeof one === "object");
      expect(version === null).toBe(having.length === 0);
      for (const id of holders) expect((findings[id] as Version).size).toBe(version!.size);
      for (const other of having) {
        const alike = having.filter((one) => JSON.stringify(one) === JSON.stringify(other)).length;
        expect(holders.length).toBeGreaterThanOrEqual(alike);
      }
    }),
  );
});
