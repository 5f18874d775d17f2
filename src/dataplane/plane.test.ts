import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { schedulers } from "../schedulers/list.ts";
import { updateElement } from "../system/libbpf.ts";
import { mapBytes } from "../system/map-bytes.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { backendCount, Limit, service as serviceAt, table } from "./generated/layout.ts";
import { isUsed, writeBackend } from "./local-backend.ts";
import { getWord } from "./memory.ts";
import { memoryUse } from "./memory-use.ts";
import { Plane } from "./plane.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { xdpMissing } from "./testing/network.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: the plane's maps: ${missing}`);

const serviceOf = (name: string, backends: number) =>
  testService(
    name,
    [{ address: `125.12.12.${name.length}`, port: 80, protocol: "tcp" }],
    Array.from({ length: backends }, (_, i) => testBackend(i + 1, `10.0.${name.length}.${i + 1}`, null)),
  );

/** Which of its two tables a service has. */
const activeOf = (plane: Plane, name: string): number =>
  getWord(plane.memory.services, plane.mustHave("direct", name).number, serviceAt.table) & 1;

describe.skipIf(missing !== null)("the plane's maps", () => {
  let doors: ReturnType<typeof testDoors>;
  const planes: Plane[] = [];
  const start = (): Plane => {
    const plane = new Plane(doors.bpfDir);
    plane.schedulers = (name) => schedulers.find((one) => one.name === name)!;
    planes.push(plane);
    return plane;
  };
  beforeEach(() => {
    doors = testDoors();
  });
  afterEach(() => {
    for (const plane of planes.splice(0)) plane.kernel.destroy();
    doors.close();
  });

  test("a service that is as it was keeps its table; one that is not gets its other one", () => {
    const plane = start();
    const active = (): number[] => ["one", "other"].map((name) => activeOf(plane, name));
    plane.commit("direct", [serviceOf("one", 2), serviceOf("other", 2)]);
    const before = active();
    plane.commit("direct", [serviceOf("one", 2), serviceOf("other", 2)]);
    expect(active()).toEqual(before);
    plane.commit("direct", [serviceOf("one", 2), serviceOf("other", 3)]);
    expect(active()).toEqual([before[0]!, 1 - before[1]!]);
    const down = serviceOf("one", 2);
    plane.commit("direct", [{ ...down, backends: [down.backends[0]!, { ...down.backends[1]!, state: "draining" }] }]);
    expect(active).toThrow("no service other");
    expect(activeOf(plane, "one")).toBe(1 - before[0]!);
  });

  test("tables of very many new services are made together, and each service has its own", () => {
    const plane = start();
    plane.commit(
      "direct",
      Array.from({ length: 40 }, (_, i) => ({ ...serviceOf("many", 1), name: `service-${i}` })),
    );
    const words = [...plane.services.values()].map(({ number }) => plane.memory.tables.words(2 * number));
    words.forEach((table, i) => {
      table[0] = 1000 + i;
    });
    expect(words.map((table) => table[0])).toEqual(words.map((_, i) => 1000 + i));
  });

  test("what the kernel keeps is read from it: a service's tables are no more than 150 KiB", () => {
    const plane = start();
    const many = Array.from({ length: 17 }, (_, i) => ({ ...serviceOf("many", 1), name: `service-${i}` }));
    const use = (...services: PlaneService[]) => {
      plane.commit("direct", services);
      return memoryUse(doors.bpfDir)!;
    };
    expect(memoryUse(doors.bpfDir)).toMatchObject({ perService: 0 });
    const one = use(many[0]!);
    expect(one.perService).toBeGreaterThanOrEqual(2 * table.size);
    expect(one.perService).toBeLessThan(150 * 1024);
    const all = use(...many);
    // 16 services have their tables together; the kernel keeps a few bytes for each map beside what it holds.
    expect(all.bytes - one.bytes - 16 * all.perService).toBe(0);
    const naming = use({ ...many[0]!, secondChance: true }, ...many.slice(1));
    expect(naming.orders.get(plane.mustHave("direct", "service-0").number)).toBeGreaterThanOrEqual(128 * 1024);
    expect(naming.bytes).toBeGreaterThan(all.bytes);
    const read = execFileSync("bpftool", ["-j", "map", "show", "pinned", `${plane.kernel.pins.maps}/flows`], {
      encoding: "utf8",
    });
    expect(JSON.parse(read).bytes_memlock).toBe(mapBytes(plane.kernel.mapFd("flows")));
  });

  test("what a daemon left that was killed between numbering a backend and naming it is free again, and has counted nothing", () => {
    const plane = start();
    plane.commit("direct", [serviceOf("one", 2)]);
    const named = [...plane.mustHave("direct", "one").locals.values()].map(({ number }) => number);
    const stray = { number: 7, local: 2, address: "10.0.3.3", port: 80, key: "10.0.3.3:80" };
    writeBackend(plane.memory, { ...stray, id: null, weight: 1, state: 1, downSince: null }, 0, 1);
    const key = new Uint8Array(Uint32Array.of(stray.number).buffer);
    updateElement(plane.kernel.mapFd("backend_counts"), key, new Uint8Array(backendCount.size * 64).fill(1));
    expect(plane.counting.backend(stray.number).packetsIn).toBeGreaterThan(0);

    const next = start();
    expect(isUsed(next.memory, stray.number)).toBe(false);
    expect(next.counting.backend(stray.number).packetsIn).toBe(0);
    expect(named.map((number) => isUsed(next.memory, number))).toEqual([true, true]);
  });

  test("counts of many backends, read together where their numbers follow each other, are those of each", () => {
    const { counting, kernel } = start();
    const last = Limit.MAX_BACKENDS - 1;
    for (const number of [0, 1, 2, 5, 4096, 6000, last]) {
      const key = new Uint8Array(Uint32Array.of(number).buffer);
      updateElement(kernel.mapFd("backend_counts"), key, new Uint8Array(backendCount.size * 64).fill(1 + (number % 7)));
    }
    const numbers = [last - 1, last, 5, ...Array.from({ length: 6002 }, (_, i) => i), 2];
    const each = numbers.map((number) => counting.backend(number));
    expect(each.filter(({ packetsIn, bytesOut }) => packetsIn > 0 && bytesOut > 0)).toHaveLength(9);
    expect(counting.backends(numbers)).toEqual(each);
    expect(counting.backends([])).toEqual([]);
  });
});
