import { expect } from "bun:test";
import type { ForwardName } from "../plane-service.ts";
import type { Bench, Fixture } from "./fixtures.ts";
import { checksumsHold } from "./frames.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Runs one fixture and compares verdict, bytes, checksums and the counted reason: by the short way, where it is one for it,
 * and by the long one.
 */
export function runFixture(bench: Bench, forward: ForwardName, service: string, fixture: Fixture): void {
  compareOutcome(bench, forward, service, fixture);
  bench.takeLongWay();
  compareOutcome(bench, forward, service, fixture);
  expect(bench.tookLongWay).toBe(true);
}

function compareOutcome(bench: Bench, forward: ForwardName, service: string, fixture: Fixture): void {
  const before = bench.drops(forward, service);
  const { verdict, output } = bench.run(fixture.input);
  expect(`${fixture.name}: ${verdict}`).toBe(`${fixture.name}: ${fixture.verdict}`);
  if (verdict !== "drop") expect(hex(output)).toBe(hex(fixture.output ?? fixture.input));
  if (verdict === "tx" && isWhole(output)) expect(checksumsHold(output.subarray(14))).toBe(true);
  if (!fixture.reason) return;
  const after = bench.drops(forward, service);
  expect((after[fixture.reason] ?? 0) - (before[fixture.reason] ?? 0)).toBe(1);
}

/** Of an IPv4 fragment only the header's checksum can be judged. */
const isWhole = (frame: Uint8Array): boolean =>
  frame[12] !== 0x81 && (frame[14]! >> 4 === 6 || ((frame[20]! & 0x3f) | frame[21]!) === 0);
