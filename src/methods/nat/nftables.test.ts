import { expect, test } from "bun:test";
import { countsOf } from "./nftables.ts";

test("counters to counts: the service is the sum of its backends", () => {
  const counts = countsOf([
    { name: "n.a-1.0.new", packets: 2, bytes: 120 },
    { name: "n.a-1.0.in", packets: 10, bytes: 1000 },
    { name: "n.a-1.7.in", packets: 1, bytes: 60 },
    { name: "n.a-1.7.out", packets: 3, bytes: 300 },
    { name: "n.a-1.none", packets: 4, bytes: 240 },
    { name: "other", packets: 9, bytes: 9 },
  ]);
  expect([...counts.keys()]).toEqual(["a-1"]);
  const { service: whole, backends, drops } = counts.get("a-1")!;
  expect(whole).toEqual({ connections: 2, packetsIn: 11, bytesIn: 1060, packetsOut: 3, bytesOut: 300, drops: 4 });
  expect(backends.get(7)).toEqual({ packetsIn: 1, bytesIn: 60, packetsOut: 3, bytesOut: 300 });
  expect(drops).toEqual({ SLUICE_DROP_NO_BACKEND: 4 });
});
