import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ptr } from "../runtime/ffi.ts";
import { libc } from "../runtime/libc.ts";
import { createTestNetns, eventually, netnsMissing, type TestNetns, wire } from "./netns-testing.ts";
import { parseTooBig4, parseTooBig6, type TooBig, watchTooBig } from "./too-big.ts";

test("whatever the bytes are, reading them ends, and what is not whole is nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      for (const parse of [parseTooBig4, parseTooBig6]) {
        const read = parse(bytes);
        if (read) expect(bytes.length).toBeGreaterThanOrEqual(28);
      }
    }),
    { numRuns: 2000 },
  );
});

const outer = [0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, 4, 0, 0, 10, 0, 0, 1, 10, 2, 0, 2];
const head = [0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1];
const message = (code = 4, quote = outer): Uint8Array =>
  Uint8Array.from([...head, 3, code, 0, 0, 0, 0, 5, 120, ...quote, 0x45, 0, 5, 200, 0, 0, 0, 0]);

test("a router's word is read with what it quotes; other errors, and what routers may part, are none", () => {
  expect(parseTooBig4(message())).toEqual({
    mtu: 1400,
    source: "10.0.0.1",
    target: "10.2.0.2",
    protocol: 4,
    length: 1500,
    port: null,
  });
  expect(parseTooBig4(message(1))).toBeNull();
  expect(parseTooBig4(message(4, outer.with(6, 0)))).toBeNull();
  expect(parseTooBig4(message(4, outer.with(0, 0x44)))).toBeNull();
  expect(parseTooBig4(message().subarray(0, 47))).toBeNull();
  expect(parseTooBig4(message(4, outer.with(9, 17)))?.port).toBe(0x05c8);
});

const missing = netnsMissing();
if (missing) console.log(`skipped: routers' words: ${missing}`);

describe.skipIf(missing !== null)("a router that carries less than the link before it", () => {
  let [host, router, far]: TestNetns[] = [];
  beforeAll(() => {
    [host, router, far] = ["host", "router", "far"].map(createTestNetns);
    wire(host!, "eth0", "10.0.0.1/24", router!, "eth0", "10.0.0.9/24");
    wire(router!, "eth1", "10.2.0.9/24", far!, "eth0", "10.2.0.2/24");
    router!.sh("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    for (const [one, address] of [
      [host, "2001:db8:a::1"],
      [router, "2001:db8:a::9"],
    ] as const)
      one!.sh(`ip address add ${address}/64 dev eth0 nodad`);
    router!.sh("ip address add 2001:db8:b::9/64 dev eth1 nodad; ip link set eth1 mtu 1400");
    far!.sh("ip address add 2001:db8:b::2/64 dev eth0 nodad");
    host!.sh("ip route add default via 10.0.0.9; ip route add default via 2001:db8:a::9");
  });
  afterAll(() => {
    for (const one of [host, router, far]) one?.remove();
  });

  /** Sends a packet of `bytes` bytes of a protocol, its IP header made by the kernel, which may not part it. */
  const send = (address: Uint8Array, family: number, protocol: number, bytes: number): void => {
    const SOCK_RAW = 3;
    const fd = libc.socket(family, SOCK_RAW, protocol);
    const [level, option] = family === 2 ? [0, 10] : [41, 23];
    const PMTUDISC_PROBE = new Int32Array([3]);
    libc.setsockopt(fd, level!, option!, ptr(PMTUDISC_PROBE), 4);
    libc.sendto(fd, ptr(new Uint8Array(bytes)), bytes, 0, ptr(address), address.length);
    libc.close(fd);
  };
  const to4 = Uint8Array.from([2, 0, 0, 0, 10, 2, 0, 2, ...new Array(8).fill(0)]);
  const to6 = Uint8Array.from([
    10,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0x20,
    1,
    0xd,
    0xb8,
    0,
    0xb,
    ...new Array(9).fill(0),
    2,
    0,
    0,
    0,
    0,
  ]);

  test("is heard about packets that hold packets, by both families, and about nothing else", async () => {
    await host!.within(async () => {
      const watch = watchTooBig();
      expect(watch.deaf).toBeNull();
      const heard: TooBig[] = [];
      // Of an own protocol nobody is told: it is no tunnel's.
      send(to4, 2, 200, 1480);
      send(to4, 2, 4, 1480);
      send(to6, 10, 41, 1460);
      expect(
        await eventually(() => {
          heard.push(...watch.read());
          return heard.length >= 2;
        }),
      ).toBe(true);
      await Bun.sleep(50);
      heard.push(...watch.read());
      watch.close();
      expect(heard).toEqual([
        { mtu: 1400, source: "10.0.0.1", target: "10.2.0.2", protocol: 4, length: 1500, port: null },
        { mtu: 1400, source: "2001:db8:a::1", target: "2001:db8:b::2", protocol: 41, length: 1500, port: null },
      ]);
    });
  });
});
