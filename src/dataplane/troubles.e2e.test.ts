import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { existsSync, readdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Applier } from "../core/method.ts";
import { SluiceError } from "../core/problem.ts";
import { runSync } from "../runtime/child.ts";
import * as libbpf from "../system/libbpf.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { compileProgram, objectPath } from "./build.ts";
import { Limit } from "./generated/layout.ts";
import { pinsOf } from "./pins.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testDoors, testService } from "./testing/doors.ts";
import { TestNetwork, xdpMissing } from "./testing/network.ts";
import { Programs } from "./testing/programs.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: troubles of the data plane: ${missing}`);

/** Two networks, each with a service, a real server and a client of its own. */
const sides = [
  { name: "one", device: "eth0", net: "125.12.12", vip: "125.12.12.77" },
  { name: "two", device: "eth1", net: "125.12.13", vip: "125.12.13.77" },
] as const;
type Side = (typeof sides)[number];

const serviceOf = ({ name, net, vip }: Side): PlaneService =>
  testService(name, [{ address: vip, port: 80, protocol: "tcp" as const }], [testBackend(1, `${net}.20`, null)]);

async function eventually(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end; await Bun.sleep(100)) if (await probe()) return;
  throw new Error(`not in time: ${what}`);
}

describe.skipIf(missing !== null)("what goes wrong around one service", () => {
  const net = new TestNetwork();
  const programs = new Programs();
  const clients = new Map<string, (command: object) => Promise<string[]>>();
  let director: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let applier: Applier<PlaneService>;
  const said: string[] = [];

  const plug = ({ name, device, net: network }: Side): void => {
    net.plug(director, net.host(`lan-${name}`), device, `${network}.12/24`);
  };
  const serves = async ({ name, vip }: Side): Promise<boolean> => {
    const client = clients.get(name)!;
    const [opened] = await client({ do: "open", address: vip, port: 80, count: 1 });
    await client({ do: "close" });
    return opened === "open";
  };
  const troubles = (name: string) => applier.troubles!(name).map(({ code, message }) => `${code} ${message}`);

  beforeAll(async () => {
    director = net.host("director");
    for (const side of sides) {
      net.switch(`lan-${side.name}`);
      plug(side);
      for (const [host, last] of [
        [`real-${side.name}`, 20],
        [`client-${side.name}`, 100],
      ] as const)
        net.plug(net.host(host), net.host(`lan-${side.name}`), "eth0", `${side.net}.${last}/24`);
      net.holdVip(net.host(`real-${side.name}`), side.vip);
      await programs.server(net.host(`real-${side.name}`), side.name, side.vip, 80);
      clients.set(side.name, await programs.client(net.host(`client-${side.name}`)));
    }
    doors = testDoors({ log: (message) => said.push(message) });
    await director.within(async () => {
      applier = await createXdpApplier(doors, "direct");
      const prepared = await applier.prepare(sides.map(serviceOf));
      if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
      await prepared.commit();
    });
  }, 60_000);
  afterAll(async () => {
    await director?.within(() => applier.remove());
    await programs.stop();
    net.remove();
    doors?.close();
  });

  test("an interface that goes is named, also when another program takes it as it comes back; the other service serves on", async () => {
    const [one, two] = sides;
    await director.within(async () => {
      expect([await serves(one), await serves(two)]).toEqual([true, true]);
      expect([troubles("one"), troubles("two")]).toEqual([[], []]);
      director.sh("ip link del eth1");
      const gone = "SLUICE_DEVICE_GONE interface eth1 is not there";
      await eventually("it is missed", () => troubles("two").includes(gone));
      expect([troubles("one"), await serves(one)]).toEqual([[], true]);
      plug(two);
      runSync(["ip", "link", "set", "dev", "eth1", "xdpdrv", "obj", objectPath("pass"), "sec", "xdp"]);
      const held = /^SLUICE_BPF_ATTACH interface eth1: another XDP program holds it: pass \(id \d+\)$/;
      await eventually("it is held", () => troubles("two").some((text) => held.test(text)));
      expect([troubles("one"), await serves(one)]).toEqual([[], true]);
      runSync(["ip", "link", "set", "dev", "eth1", "xdpdrv", "off"]);
      await eventually("nothing is wrong", () => troubles("two").length === 0);
      await eventually("it serves again", () => serves(two));
      expect(said).toContain("service two: interface eth1 is not there");
      expect(said).toContain("service two: no longer: interface eth1 is not there");
    });
  }, 60_000);

  test("where everything that was pinned is removed, all of it is pinned again, and both services serve on", async () => {
    await director.within(async () => {
      const pinned = (): string[] => readdirSync(doors.bpfDir, { recursive: true }).map(String).sort();
      const before = pinned();
      rmSync(doors.bpfDir, { recursive: true });
      await eventually("all is there", () => existsSync(doors.bpfDir) && Bun.deepEquals(pinned(), before));
      for (const side of sides) await eventually(`${side.name} serves again`, () => serves(side));
      expect([troubles("one"), troubles("two")]).toEqual([[], []]);
      expect(said).toContain("data plane: what was pinned had been removed, and is pinned again");
    });
  }, 60_000);

  test("a neighbour that nobody answers for is named until somebody does; the other service serves on", async () => {
    const [one, two] = sides;
    await director.within(async () => {
      const real = net.host("real-two");
      real.sh("ip link set eth0 down");
      const silent = "SLUICE_NEIGHBOUR nobody answers for 125.12.13.20 on eth1";
      // The kernel gives an entry up when its probes go unanswered; that takes a minute where nothing is sent.
      director.sh("ip neigh flush dev eth1; ip neigh replace 125.12.13.20 dev eth1 use nud none");
      await eventually("it is missed", () => troubles("two").includes(silent));
      expect([troubles("one"), await serves(one)]).toEqual([[], true]);
      real.sh("ip link set eth0 up");
      // One question may get lost: as packets of the host would, each look asks again.
      await eventually("nothing is wrong", () => {
        director.sh("ip neigh replace 125.12.13.20 dev eth1 use");
        return troubles("two").length === 0;
      });
      expect(await serves(two)).toBe(true);
    });
  }, 60_000);

  test("a link that goes down takes its neighbours along: they are asked for again, and kept fresh", async () => {
    const [one] = sides;
    const kept = (): string => director.sh("ip neigh show 125.12.12.20 dev eth0");
    await director.within(async () => {
      await eventually("nothing is wrong", () => troubles("one").length === 0);
      expect(kept()).toContain("managed");
      director.sh("ip link set eth0 down; ip link set eth0 up");
      expect(kept()).toBe("");
      const silent = "service one: no longer: nobody answers for 125.12.12.20 on eth0";
      await eventually("it is missed, and answers again", () => said.includes(silent));
      expect(kept()).toMatch(/lladdr .* managed/);
      await eventually("it serves", () => serves(one));
    });
  }, 60_000);

  test("an interface that cannot be had is told of the services that need it, and nothing of the attempt stays", async () => {
    await director.within(async () => {
      net.plug(director, net.host("lan-two"), "eth2", "125.12.14.12/24");
      runSync(["ip", "link", "set", "dev", "eth2", "xdpdrv", "obj", objectPath("pass"), "sec", "xdp"]);
      const third = { ...sides[1], name: "three", net: "125.12.14", vip: "125.12.14.77" } as unknown as Side;
      const problems = await applier.prepare([...sides, third].map(serviceOf));
      expect(Array.isArray(problems) && problems.map(({ code, path }) => [code, ...path])).toEqual([
        ["SLUICE_BPF_ATTACH", "services", "three"],
      ]);
      expect(await serves(sides[0])).toBe(true);
      expect(director.sh("ip address show dev eth2")).not.toContain("125.12.14.77");
    });
  }, 60_000);

  test("where the guard's program is refused, only the services that ask for limits are told", async () => {
    await director.within(async () => {
      const pin = `${pinsOf(doors.bpfDir).maps}/limits`;
      const words = ["type", "array", "key", "4", "value", "4", "entries", "1", "name", "other"];
      expect(runSync(["bpftool", "map", "create", pin, ...words]).code).toBe(0);
      const [one, two] = sides.map(serviceOf) as [PlaneService, PlaneService];
      const problems = await applier.prepare([one, { ...two, limits: { connections: 5, prove: false } }]);
      unlinkSync(pin);
      expect(Array.isArray(problems) && problems.map(({ code, path }) => [code, ...path])).toEqual([
        ["SLUICE_BPF_LOAD", "services", "two"],
      ]);
      expect([await serves(sides[0]), await serves(sides[1])]).toEqual([true, true]);
    });
  }, 60_000);

  test("where the kernel has no memory for what a new service needs, it alone is told, and no other is changed", async () => {
    await director.within(async () => {
      // So many that their tables are in another chunk than those that there are.
      const more = Array.from({ length: Limit.CHUNK_SERVICES }, (_, i) => {
        const vips = [{ address: sides[0].vip, port: 1000 + i, protocol: "tcp" as const }];
        return testService(`more${i}`, vips, [testBackend(1, `${sides[0].net}.20`, null)]);
      });
      const [one, two] = sides.map(serviceOf) as [PlaneService, PlaneService];
      const second = { ...more[0]!, secondChance: true as const, guePort: Limit.GUE_PORT };
      const spy = spyOn(libbpf, "createArray").mockImplementation(() => {
        throw libbpf.bpfError("SLUICE_BPF_MEMORY", "map: Cannot allocate memory");
      });
      // The second takes the place of one that stands: what it no longer has must stay for all that.
      const refused = [await applier.prepare([one, two, ...more]), await applier.prepare([one, second])];
      spy.mockRestore();
      const told = refused.map(
        (problems) => Array.isArray(problems) && problems.map(({ code, path }) => [code, ...path].join(" ")),
      );
      expect(told).toEqual([
        more.map(({ name }) => `SLUICE_BPF_MEMORY services ${name}`),
        ["SLUICE_BPF_MEMORY services more0"],
      ]);
      expect([await serves(sides[0]), await serves(sides[1])]).toEqual([true, true]);
      // With memory all of it fits.
      const prepared = await applier.prepare([one, two, ...more]);
      if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
      await prepared.commit();
      expect([await serves(sides[0]), await serves(sides[1])]).toEqual([true, true]);
    });
  }, 60_000);

  test("a program that the verifier refuses, and a map that there is no memory for, have names of their own", () => {
    const source = join(doors.runDir, "wrong.bpf.c");
    writeFileSync(
      source,
      `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int wrong(struct xdp_md *ctx) { return *(int *)(long)ctx->data; }
char _license[] SEC("license") = "GPL";`,
    );
    compileProgram(source, join(doors.runDir, "wrong.o"));
    const codeOf = (path: string, prepare: (object: libbpf.BpfObject) => void = () => {}): string => {
      const object = new libbpf.BpfObject(path);
      try {
        prepare(object);
        object.load();
      } catch (error) {
        return error instanceof SluiceError ? `${error.problem.code} ${error.problem.message}` : String(error);
      } finally {
        object.close();
      }
      return "loaded";
    };
    expect(codeOf(join(doors.runDir, "wrong.o"))).toMatch(
      /^SLUICE_BPF_LOAD the kernel refused the program: .*invalid access to packet/,
    );
    // 64 GiB: more than any machine of these tests has.
    const huge = codeOf(objectPath("balance"), (object) => object.setMaxEntries("flows", 2 ** 30 - 1));
    expect(huge).toMatch(/^SLUICE_BPF_MEMORY the kernel refused the program/);
  });
});
