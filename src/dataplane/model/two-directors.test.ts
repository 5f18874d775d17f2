import { describe, expect, test } from "bun:test";
import { search } from "./two-directors.ts";

describe("two directors", () => {
  test("without a second chance a connection breaks after one change that only one has heard of", () => {
    expect(search({ chance: "none", changes: 4, late: true }).counterExample).toEqual([
      "backend 0 goes",
      "A hears of it",
      "the flow begins at A, on backend 1",
      "a packet by B goes to backend 0",
    ]);
  });

  test("without a second chance one breaks also when both hear of everything at once", () => {
    expect(search({ chance: "none", changes: 4, late: false }).counterExample).not.toBeNull();
  });

  test("naming what the slot was is not enough: a settled slot has forgotten, a late director has not heard", () => {
    for (const late of [false, true])
      expect(search({ chance: "history", changes: 4, late }).counterExample).not.toBeNull();
  });

  test("naming the slot's own order of backends breaks none", () => {
    for (const late of [false, true]) {
      const { worlds, counterExample } = search({ chance: "preference", changes: 3, late });
      expect(worlds).toBeGreaterThan(5000);
      expect(counterExample).toBeNull();
    }
  });

  test("nothing breaks while nothing changes", () => {
    expect(search({ chance: "none", changes: 0, late: true }).counterExample).toBeNull();
  });
});
