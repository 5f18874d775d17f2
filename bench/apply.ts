/**
 * How long a change takes that touches everything: 1,000 services of 100 backends each, put in force at once. Tables are
 * computed, written beside those in force and flipped, a word for each service, with one barrier for all.
 */
import { Plane } from "../src/dataplane/plane.ts";
import { testBackend, testDoors, testService } from "../src/dataplane/testing/doors.ts";
import { xdpMissing } from "../src/dataplane/testing/network.ts";
import { schedulers } from "../src/schedulers/list.ts";
import { netnsMissing } from "../src/system/netns-testing.ts";
import { defineBench, row } from "./lib.ts";

const SERVICES = 1000;
const BACKENDS = 100;

const vipOf = (i: number): string => `125.${12 + (i >> 8)}.${i & 255}.77`;
const realOf = (i: number, j: number): string => `10.${i >> 8}.${i & 255}.${j + 1}`;

/** ms until it was in force, and of CPU: what the first has more, others had, or the barrier. */
interface Times {
  wall: number;
  cpu: number;
}

/** Every service with these of its backends. */
const servicesOf = (from: number, count: number) =>
  Array.from({ length: SERVICES }, (_, i) =>
    testService(
      `service-${i}`,
      [{ address: vipOf(i), port: 80, protocol: "tcp" as const }],
      Array.from({ length: count }, (_, j) => testBackend(from + j + 1, realOf(i, from + j), null)),
    ),
  );

export default defineBench({
  summary: `ms until a change to ${SERVICES} services of ${BACKENDS} backends each is in force, and the memory of their tables`,
  run: async (progress) => {
    const missing = netnsMissing() ?? xdpMissing();
    if (missing) throw new Error(`cannot be measured here: ${missing}`);
    const doors = testDoors();
    const plane = new Plane(doors.bpfDir);
    plane.schedulers = (name) => schedulers.find((one) => one.name === name)!;
    const timed = (what: string, from: number, count: number): Times => {
      progress(what);
      const next = servicesOf(from, count);
      const begun = performance.now();
      const before = process.cpuUsage();
      plane.commit("direct", next);
      const { user, system } = process.cpuUsage(before);
      return { wall: performance.now() - begun, cpu: (user + system) / 1000 };
    };
    const rowsOf = (name: string, { wall, cpu }: Times) => [
      row(`${name}/direct/ms`, "ms", "lower", wall),
      row(`${name}/direct/cpu-ms`, "ms", "lower", cpu),
    ];
    try {
      const start = timed("start", 0, BACKENDS);
      const fail = timed("one backend of each goes", 0, BACKENDS - 1);
      const recover = timed("and comes back", 0, BACKENDS);
      const bytes = plane.memory.tables.bytes / SERVICES;
      return {
        rows: [
          ...rowsOf("start", start),
          ...rowsOf("one-goes", fail),
          ...rowsOf("one-comes", recover),
          row("tables/direct/bytes-per-service", "bytes", "lower", bytes),
        ],
      };
    } finally {
      plane.kernel.destroy();
      doors.close();
    }
  },
});
