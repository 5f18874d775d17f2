import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { BackendState } from "../core/backend.ts";
import { now } from "../runtime/clock.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { frame, icmp, udp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: QUIC: ${missing}`);
const VIP = "125.12.12.77";

const serviceOf = (states: Partial<Record<number, BackendState>> = {}, ids = [1, 2, 3]) => ({
  ...testService(
    "web",
    [{ address: VIP, port: 443, protocol: "udp" as const }],
    ids.map((id) => testBackend(id, `125.12.12.${20 + id}`, null, states[id] ?? "up")),
  ),
  slots: 251,
  quic: true as const,
});

/** Of docs/quic.md: configuration 0, the server ID, a nonce. */
const idOf = (backend: number, nonce = [1, 2, 3, 4], configuration = 0): number[] => [
  (configuration << 5) | (4 + nonce.length),
  125,
  12,
  12,
  20 + backend,
  ...nonce,
];
const short = (id: number[]): number[] => [0x40, ...id, 0xaa, 0xbb];
const long = (type: number, id: number[], version = [0, 0, 0, 1]): number[] => [
  0xc0 | (type << 4),
  ...version,
  id.length,
  ...id,
  0,
  0xaa,
];
const V2 = [0x6b, 0x33, 0x43, 0xcf];
const INITIAL = 0;
const HANDSHAKE = 2;

describe.skipIf(missing !== null)("connection IDs of QUIC", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.create("direct", serviceOf());
  }, patience(60_000));
  afterAll(() => bench?.close());

  const start = (...args: Parameters<typeof serviceOf>): void => bench.commit("direct", serviceOf(...args));
  /** The backend that a datagram from this port went to. */
  const send = (port: number, data: number[], source = "202.20.20.20", targetPort = 443): number | null => {
    const packet = udp({ source, target: VIP }, { sourcePort: port, targetPort }, data);
    const { verdict, output } = bench.run(frame(mac.gateway, mac.director, packet));
    return verdict === "tx" ? output[5]! - 20 : null;
  };

  test("name the backend, from whatever address and port, in short and long headers", () => {
    start();
    for (const backend of [1, 2, 3])
      for (let port = 1000; port < 1020; port++) {
        expect(send(port, short(idOf(backend)))).toBe(backend);
        expect(send(port, long(HANDSHAKE, idOf(backend)), `202.20.20.${port & 127}`)).toBe(backend);
        // The server's ID is in the client's later Initials too.
        expect(send(port, long(INITIAL, idOf(backend)))).toBe(backend);
      }
  });

  test("name a backend with an IPv6 address by its last four octets", () => {
    bench.commit("direct", {
      ...serviceOf(),
      backends: [0x21, 0x22].map((last, i) => testBackend(i + 1, `2001:db8:12::c633:64${last.toString(16)}`, null)),
      eligible: [1, 2],
    });
    for (const last of [0x21, 0x22])
      for (let port = 1200; port < 1220; port++)
        expect(send(port, short([7, 0xc6, 0x33, 0x64, last, 1, 2, 3, 4]))).toBe(last - 20);
    bench.plane.commit("direct", []);
  });

  test("name it also without a nonce behind the server's ID", () => {
    start();
    for (let port = 1100; port < 1120; port++)
      for (const backend of [1, 2, 3]) expect(send(port, long(HANDSHAKE, idOf(backend, [])))).toBe(backend);
  });

  test("that name nobody leave it to the flow, and never to more than one backend", () => {
    start();
    const plain = Array.from({ length: 30 }, (_, i) => send(2000 + i, [0]));
    expect(new Set(plain)).toEqual(new Set([1, 2, 3]));
    const other = [idOf(9), idOf(1, [1, 2, 3, 4], 7), idOf(1, [1, 2, 3, 4], 1), idOf(1).slice(0, 4)];
    for (const id of other)
      for (const data of [short(id).slice(0, id.length + 1), long(INITIAL, id), long(HANDSHAKE, id)])
        expect(Array.from({ length: 30 }, (_, i) => send(2000 + i, data))).toEqual(plain);
    // Four octets, and behind them one that would make up the server's ID.
    const cut = [...long(HANDSHAKE, idOf(1).slice(0, 4)).slice(0, 10), ...idOf(1).slice(4)];
    expect(Array.from({ length: 30 }, (_, i) => send(2000 + i, cut))).toEqual(plain);
    const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 });
    fc.assert(
      fc.property(bytes, (data) => {
        expect(send(2000, data)).toBeOneOf([1, 2, 3]);
      }),
      { numRuns: 300 },
    );
  });

  test("name backends of the service that the packet is for, and of no other", () => {
    const other = {
      ...serviceOf({}, [2, 3]),
      name: "other",
      vips: [{ address: VIP, port: 444, protocol: "udp" as const }],
    };
    bench.commit("direct", [serviceOf({}, [1]), other]);
    const ask = (port: number, data: number[]): number | null => send(port, data, undefined, 444);
    const ports = Array.from({ length: 30 }, (_, i) => 2700 + i);
    const plain = ports.map((port) => ask(port, [0]));
    expect(new Set(plain)).toEqual(new Set([2, 3]));
    expect(ports.map((port) => ask(port, short(idOf(1))))).toEqual(plain);
    for (const port of ports) expect([2, 3].map((one) => ask(port, short(idOf(one))))).toEqual([2, 3]);
  });

  test("are not read out of errors, whose quotes may look like one", () => {
    start();
    const ports = Array.from({ length: 30 }, (_, i) => 2500 + i);
    const flows = ports.map((port) => send(port, [0]));
    const reply = { source: VIP, target: "202.20.20.20", id: 0x0c15 };
    const told = ports.map((port) => {
      const quote = udp(reply, { sourcePort: 443, targetPort: port }, []).slice(0, 28);
      // Its length and identification: 125.12.12.21, the server ID of the first backend.
      quote.splice(2, 2, 125, 12);
      const error = icmp({ source: "198.51.100.1", target: VIP }, 3, 4, [0, 0, 5, 0], quote);
      return bench.run(frame(mac.gateway, mac.director, error)).output[5]! - 20;
    });
    expect<(number | null)[]>(told).toEqual(flows);
    expect(new Set(flows)).toEqual(new Set([1, 2, 3]));
  });

  test("keep connections over a change, and until a backend is given up", () => {
    start({ 1: "draining" }, [1, 2, 3, 4]);
    for (let port = 3000; port < 3020; port++) expect(send(port, short(idOf(1)))).toBe(1);
    start({ 1: "down" }, [1, 2, 3, 4]);
    expect(send(3000, short(idOf(1)))).toBe(1);
    bench.plane.settleRound(now() + 10_000);
    for (let port = 3000; port < 3020; port++) expect(send(port, short(idOf(1)))).toBeOneOf([2, 3, 4]);
  });

  test("an Initial is new work: it goes to the new table at once, and the rest of its handshake after it", () => {
    bench.plane.commit("direct", []);
    start({}, [1, 2]);
    const ports = Array.from({ length: 60 }, (_, i) => 4000 + i);
    const known = ports.map((port) => send(port, short(idOf(9))));
    const others = ports.map((port) => port + 3000);
    const silent = others.map((port) => send(port, short(idOf(9))));
    start({}, [3, 4]);
    const made = [8, 7, 6, 5, 4, 3, 2, 1];
    const fresh = ports.map((port) => port + 1000);
    const first = fresh.map((port) => send(port, long(INITIAL, made)));
    for (const backend of first) expect(backend).toBeOneOf([3, 4]);
    expect(fresh.map((port) => send(port, long(INITIAL, made)))).toEqual(first);
    expect(fresh.map((port) => send(port, long(1, made)))).toEqual(first);
    // Initials of version 2 (RFC 9369) have another type; what is none in its version is not new.
    for (const port of fresh) expect(send(port + 1000, long(1, made, V2))).toBeOneOf([3, 4]);
    expect(others.map((port, i) => send(port, i % 2 ? long(HANDSHAKE, idOf(9)) : long(INITIAL, idOf(9), V2)))).toEqual(
      silent,
    );
    // What is no Initial was there before.
    expect(ports.map((port) => send(port, short(idOf(9))))).toEqual(known);
  });
});
