import { expect, test } from "bun:test";
import type { Listener } from "../core/service.ts";
import { lackOfHops, lacksOf } from "./capacity.ts";
import { CHECKED_BACKENDS, CheckPorts } from "./check-ports.ts";
import { Limit } from "./generated/layout.ts";
import type { PlaneMemory } from "./memory.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testService } from "./testing/doors.ts";

const empty = {
  services: [],
  servicesLeft: Limit.MAX_SERVICES,
  backendsLeft: Limit.MAX_BACKENDS,
};
const addressOf = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
const vipOf = (i: number, more: Partial<Listener> = {}): Listener[] => [
  { address: `192.0.${i >> 8}.${i & 255}`, port: 80, protocol: "tcp", ...more },
];
const serviceOf = (i: number, count: number, first = 0, vips = vipOf(i)): PlaneService =>
  testService(
    `s${i}`,
    vips,
    Array.from({ length: count }, (_, n) => testBackend(n, addressOf(first + n), null)),
  );
const said = (...given: Parameters<typeof lacksOf>): string[] =>
  lacksOf(...given).map(({ path, message }) => `${path.join(".")} ${message}`.trim());

test("what fits exactly is not refused, and one more is, by name", () => {
  const services = Array.from({ length: Limit.MAX_SERVICES }, (_, i) => serviceOf(i, 1));
  expect(said(empty, "direct", services)).toEqual([]);
  expect(said({ ...empty, servicesLeft: 1023 }, "direct", services)).toEqual([
    expect.stringContaining("no more than 1024 services"),
  ]);
  expect(said(empty, "direct", [serviceOf(0, Limit.MAX_LOCAL)])).toEqual([]);
  expect(said(empty, "direct", [serviceOf(0, Limit.MAX_LOCAL + 1)])).toEqual([
    expect.stringMatching(/^services.s0 .* no more than 2048 backends in one service/),
  ]);
  expect(said({ ...empty, backendsLeft: 2 }, "direct", [serviceOf(0, 2)])).toEqual([]);
  expect(said({ ...empty, backendsLeft: 2 }, "direct", [serviceOf(0, 3)])).toEqual([
    expect.stringContaining("no more than 131072 backends"),
  ]);
});

test("parts for places are services too", () => {
  const places = ["eu", "us"].map((name) => ({ name, eligible: [0] }));
  const near = { ...serviceOf(0, 1), near: { geography: { places: {} }, places } };
  expect(said({ ...empty, servicesLeft: 3 }, "tunnel", [near])).toEqual([]);
  expect(said({ ...empty, servicesLeft: 2 }, "tunnel", [near])).toEqual([expect.stringContaining("parts for places")]);
});

test("ways back of nat and server IDs of quic are counted with the VIPs", () => {
  const back = Array.from({ length: 15 }, (_, i) => serviceOf(i, 2000, i * 2000));
  expect(said(empty, "direct", back)).toEqual([]);
  expect(said(empty, "nat", back.slice(0, 14))).toEqual([]);
  expect(said(empty, "nat", back)).toEqual([expect.stringContaining("these services have 30030")]);
  const quic = back.map((one) => ({ ...one, quic: true as const }));
  expect(said(empty, "direct", quic)).toEqual([expect.stringContaining("server IDs of quic")]);
});

test("ranges of ports of one address are counted over all services", () => {
  const ranges = (count: number) =>
    Array.from({ length: count }, (_, i) => serviceOf(i, 1, 0, vipOf(0, { port: 1000 + 10 * i, last: 1009 + 10 * i })));
  expect(said(empty, "direct", ranges(Limit.RANGES))).toEqual([]);
  expect(said(empty, "direct", ranges(Limit.RANGES + 1))).toEqual([
    expect.stringContaining("more than 16 ranges of ports of one address: 192.0.0.0 has more"),
  ]);
});

test("of nat, a backend that has flows of one service still is not another's, unless answers are the same for both", () => {
  const [one, two] = [serviceOf(1, 1, 7, vipOf(1)), serviceOf(2, 1, 9, vipOf(1, { port: 81 }))];
  const left = (address: string, port: number) =>
    ({
      name: "s2",
      number: 2,
      forward: "nat",
      config: two,
      locals: new Map([[0, { ...own, address, port }]]),
    }) as never;
  const own = { key: "", local: 0, number: 0, id: null, weight: 1, state: 0, downSince: null };
  const refused = (address: string, port: number) =>
    said({ ...empty, services: [left(address, port)] }, "nat", [one, two]);
  expect(refused(addressOf(7), 80)).toEqual([
    'services.s1.backends Backend 10.0.0.7:80 may still have connections of service "s2": its answers to them would come from the wrong VIP.',
  ]);
  expect([refused(addressOf(7), 8000), refused(addressOf(8), 80), refused(addressOf(9), 81)]).toEqual([[], [], []]);
  expect(said({ ...empty, services: [left(addressOf(7), 80)] }, "direct", [one, two])).toEqual([]);
});

test("a table of more slots than the kernel's is refused", () => {
  const slots = (count: number) => [{ ...serviceOf(0, 1), scheduler: { name: "maglev", options: { slots: count } } }];
  expect(said(empty, "direct", slots(16_381))).toEqual([]);
  expect(said(empty, "direct", slots(65_537))).toEqual([
    expect.stringMatching(/^services.s0.scheduler .* no more than 16384 slots of one service/),
  ]);
});

test("next hops are as many as may all change to another number", () => {
  expect(lackOfHops(Limit.MAX_HOPS / 2)).toEqual([]);
  expect(lackOfHops(Limit.MAX_HOPS / 2 + 1)).toEqual([
    expect.objectContaining({ message: expect.stringContaining("more than 8192 next hops") }),
  ]);
});

test("backends whose checks go to the VIP are as many as have source ports", () => {
  const checked = (count: number): PlaneService[] => [{ ...serviceOf(0, count), checked: true }];
  expect(said(empty, "tunnel", checked(CHECKED_BACKENDS))).toEqual([]);
  expect(said(empty, "tunnel", checked(CHECKED_BACKENDS + 1))).toEqual([
    expect.stringContaining(`more than ${CHECKED_BACKENDS} backends of direct and tunnel that have a check`),
  ]);
  expect(said(empty, "nat", checked(CHECKED_BACKENDS + 1))).toEqual([]);
  const array = (size: number, count: number) => {
    const bytes = new Uint8Array(size * count);
    return { fd: -1, size, count, bytes, words: new Uint32Array(bytes.buffer), view: new DataView(bytes.buffer) };
  };
  const memory = { control_words: array(128, 1), check_ports: array(8, 65_536) } as unknown as PlaneMemory;
  const ports = new CheckPorts(memory);
  const seen = Array.from({ length: CHECKED_BACKENDS }, (_, i) => [ports.next(i), ports.next(i)]);
  // Each has two of its own at least, so the next probe never waits for the last one's connection.
  expect(new Set(seen.flat()).size).toBe(2 * CHECKED_BACKENDS);
  expect(seen.flat()).not.toContain(null);
});
