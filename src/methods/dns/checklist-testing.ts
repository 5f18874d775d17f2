import { describe, expect, test } from "bun:test";
import { checklist } from "./checklist.ts";

/** A test for each of these rules, by its id, with the name that the conformance report looks for. */
export function checked(cases: Readonly<Record<string, () => void>>): void {
  describe("the checklist", () => {
    test("has no case without a rule; rules without a case are carried by other tests (bun run conformance dns)", () => {
      const offered = checklist.filter((r) => !r.absent).map((r) => r.id);
      expect(Object.keys(cases).filter((id) => !offered.includes(id))).toEqual([]);
    });
    for (const { id, source, rule } of checklist.filter((r) => cases[r.id])) {
      test(`${id} (${source}): ${rule}`, cases[id]!);
    }
  });
}
