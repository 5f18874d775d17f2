import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { configProblem, refuse, type SluiceError } from "../core/problem.ts";
import { runSync } from "../runtime/child.ts";
import * as ip from "../system/ip.ts";
import * as libbpf from "../system/libbpf.ts";
import { netnsMissing, type TestNetns } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import { Entry } from "./attach.ts";
import { objectPath } from "./build.ts";
import { pinsOf } from "./pins.ts";
import { toDevices } from "./routes.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { type TestHost, testHost } from "./testing/host.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: attaching: ${missing}`);

/** What ip(8) says of a device's program. */
const rowOf = (host: TestNetns, device: string) => {
  const [row] = JSON.parse(host.sh(`ip -json link show dev ${device}`)) as {
    xdp?: { mode: number; prog: { id: number; name?: string } };
  }[];
  return row?.xdp;
};
const programOn = (host: TestNetns, device: string): { mode: number; name?: string } | undefined => {
  const xdp = rowOf(host, device);
  return xdp && { mode: xdp.mode, name: xdp.prog.name };
};
const NATIVE = 1;
const GENERIC = 2;

describe.skipIf(missing !== null)("attaching", () => {
  let stage: TestHost;
  let host: TestNetns;
  let doors: TestHost["doors"];

  beforeAll(() => {
    stage = testHost("attach", "125.12.12.12/24", "125.12.12.20/24");
    ({ host, doors } = stage);
    // A bridge's own interface has no driver that runs XDP.
    host.sh("ip link add br0 type bridge && ip link set br0 up");
  }, patience(30_000));
  afterAll(() => {
    stage?.remove();
  });

  const hold = (device: string, mode: "xdpdrv" | "xdpgeneric"): void => {
    const done = runSync(["ip", "link", "set", "dev", device, mode, "obj", objectPath("pass"), "sec", "xdp"]);
    if (done.code !== 0) throw new Error(done.stderr);
  };

  test("is native where the driver can, generic where it cannot", () => {
    host.inside(() => {
      const entry = new Entry(pinsOf(doors.bpfDir));
      expect(entry.attach("eth0")).toBe(true);
      expect(entry.attach("br0")).toBe(true);
      expect(entry.attach("br0")).toBe(false);
      expect(programOn(host, "eth0")).toEqual({ mode: NATIVE, name: "entry" });
      expect(programOn(host, "br0")).toEqual({ mode: GENERIC, name: "entry" });
      for (const device of entry.devices) entry.detach(device);
      expect(programOn(host, "br0")).toBeUndefined();
      entry.close();
    });
  });

  test("follows an interface that gets another name", () => {
    host.inside(() => {
      const entry = new Entry(pinsOf(doors.bpfDir));
      expect(entry.attach("br0", { owner: "one" })).toBe(true);
      const { id } = rowOf(host, "br0")!.prog;
      host.sh("ip link set br0 down; ip link set br0 name wan0; ip link set wan0 up");
      expect(entry.attach("wan0", { owner: "other" })).toBe(false);
      expect(entry.devices).toEqual(["wan0"]);
      expect([...entry.takeRenamed(), ...entry.takeRenamed()]).toEqual([["br0", "wan0"]]);
      expect(rowOf(host, "wan0")?.prog.id).toBe(id);
      entry.detach("wan0", "other");
      expect(programOn(host, "wan0")?.name).toBe("entry");
      entry.detach("wan0", "one");
      expect(programOn(host, "wan0")).toBeUndefined();
      entry.close();
      host.sh("ip link set wan0 down; ip link set wan0 name br0; ip link set br0 up");
    });
  });

  test("refuses an interface whose hook another program holds, says whose, and leaves it alone", () => {
    for (const mode of ["xdpdrv", "xdpgeneric"] as const)
      host.inside(() => {
        hold("eth0", mode);
        const entry = new Entry(pinsOf(doors.bpfDir));
        expect(() => entry.attach("eth0")).toThrow(
          /SLUICE_BPF_ATTACH.*interface eth0: another XDP program holds it: pass \(id \d+\)/,
        );
        expect(entry.devices).toEqual([]);
        entry.close();
        expect(programOn(host, "eth0")?.name).toBe("pass");
        runSync(["ip", "link", "set", "dev", "eth0", mode, "off"]);
      });
  });

  test("who is killed while another balancer takes the place leaves all interfaces with one and the same", () => {
    host.inside(() => {
      const pins = pinsOf(doors.bpfDir);
      /** The program of an interface and, where that asks the places, the balancer in its place. */
      const balancers = (entry: Entry, asks: readonly number[]): number[] =>
        ["eth0", "br0"].map((device) => {
          const program = rowOf(host, device)!.prog.id;
          return asks.includes(program) ? entry.programIn("PLACE_BALANCE")! : program;
        });
      const passes = () => {
        const one = new libbpf.BpfObject(objectPath("pass"));
        one.load();
        return one;
      };
      const idOf = (fd: number): number =>
        Number(/prog_id:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))![1]);
      const [former, next] = [passes(), passes()];
      const [first, second] = [new Entry(pins), new Entry(pins)];
      const asks = [first, second].map((entry) => idOf(entry.programFd));
      const [old, fresh] = [former, next].map((one) => idOf(one.programFd("pass"))) as [number, number];
      for (const device of ["eth0", "br0"]) first.attach(device);
      let steps = 0;
      for (let killedAt = 0; steps >= killedAt; killedAt++) {
        first.plug("PLACE_BALANCE", former.programFd("pass"));
        expect(balancers(first, asks)).toEqual([old, old]);
        steps = 0;
        const dying =
          <A extends unknown[]>(real: (...args: A) => void) =>
          (...args: A): void => {
            if (steps++ === killedAt) throw new Error("killed");
            real(...args);
          };
        const [element, link] = [dying(libbpf.updateElement), dying(libbpf.updateLink)];
        const spies = [
          spyOn(libbpf, "updateElement").mockImplementation(element),
          spyOn(libbpf, "updateLink").mockImplementation(link),
        ];
        try {
          second.plug("PLACE_BALANCE", next.programFd("pass"));
        } catch (thrown) {
          expect((thrown as Error).message).toBe("killed");
        }
        for (const spy of spies) spy.mockRestore();
        const found = balancers(second, asks);
        expect([old, fresh]).toContain(found[0]!);
        expect(found[1]).toBe(found[0]!);
        expect(second.programIn("PLACE_BALANCE")).toBe(found[0]!);
      }
      expect(steps).toBeGreaterThan(3);
      expect(balancers(second, asks)).toEqual([fresh, fresh]);
      for (const device of second.devices) second.detach(device);
      for (const one of [first, second, former, next]) one.close();
    });
  });

  test("refuses the revision then, and nothing of it stays", async () => {
    await host.within(async () => {
      hold("eth0", "xdpdrv");
      const applier = await createXdpApplier(doors, "direct");
      const vips = [{ address: "125.12.12.77", port: 80, protocol: "tcp" as const }];
      const prepared = await applier.prepare([testService("web", vips, [testBackend(1, "125.12.12.20", null)])]);
      expect(Array.isArray(prepared) && prepared.map(({ code }) => code)).toEqual(["SLUICE_BPF_ATTACH"]);
      expect(host.sh("ip address show dev eth0")).not.toContain("125.12.12.77");
      runSync(["ip", "link", "set", "dev", "eth0", "xdpdrv", "off"]);
      await applier.remove();
    });
  });

  test("a start that is refused leaves nothing pinned, whether ip(8) is missing or the interface is another's", async () => {
    await host.within(async () => {
      const lacking = configProblem("SLUICE_HOST_COMMAND", [], "ip is not there");
      const spy = spyOn(ip, "addresses").mockResolvedValue(refuse(lacking));
      const without = await createXdpApplier(doors, "direct").catch((thrown) => (thrown as SluiceError).problem.code);
      spy.mockRestore();
      expect(without).toBe("SLUICE_HOST_COMMAND");
      expect(existsSync(doors.bpfDir)).toBe(false);
      hold("eth0", "xdpdrv");
      const applier = await createXdpApplier(doors, "direct");
      const vips = [{ address: "125.12.12.77", port: 80, protocol: "tcp" as const }];
      await applier.prepare([testService("web", vips, [testBackend(1, "125.12.12.20", null)])]);
      expect(existsSync(doors.bpfDir)).toBe(true);
      await applier.release();
      expect(existsSync(doors.bpfDir)).toBe(false);
      runSync(["ip", "link", "set", "dev", "eth0", "xdpdrv", "off"]);
    });
  });

  test(
    "runs the balancer itself while nobody is asked before it, and the entry program as soon as somebody is",
    async () => {
      await host.within(async () => {
        const applier = await createXdpApplier(doors, "direct");
        const vips = [{ address: "125.12.12.77", port: 80, protocol: "tcp" as const }];
        const service = testService("web", vips, [testBackend(1, "125.12.12.20", null)]);
        const prepared = await applier.prepare([{ ...service, devices: ["br0"] }]);
        if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
        await prepared.commit();
        expect(programOn(host, "eth0")).toEqual({ mode: NATIVE, name: "balance" });
        // As status shows it.
        expect(applier.describe("web").slice(0, 2).sort()).toEqual(["xdp generic on br0", "xdp native on eth0"]);
        const guard = new Entry(pinsOf(doors.bpfDir));
        guard.plug("PLACE_GUARD", guard.programFd);
        expect(programOn(host, "eth0")).toEqual({ mode: NATIVE, name: "entry" });
        guard.close();
        await applier.remove();
      });
    },
    patience(120_000),
  );
});

describe("devices", () => {
  test("a VLAN device is known with what carries its frames", () => {
    const row = { ifindex: 2, ifname: "eth0", mtu: 1500, link_type: "ether", address: "02:00:00:00:00:01" };
    const vlan = { ...row, ifindex: 7, ifname: "eth0.5", link: "eth0" };
    const linkinfo = { info_kind: "vlan", info_data: { protocol: "802.1Q", id: 5 } };
    const provider = { ...linkinfo, info_data: { protocol: "802.1ad", id: 5 } };
    const rows = [row, { ...vlan, linkinfo }, { ...vlan, ifname: "eth0.ad", linkinfo: provider }];
    const found = toDevices(JSON.stringify([...rows, { ...row, ifname: "veth1", link: "eth9" }]));
    const seen = [...found].map(([name, { parent, vlan: tag }]) => [name, parent, tag]);
    expect(seen).toEqual([
      ["eth0", null, 0],
      ["eth0.5", "eth0", 5],
      // Frames with its tag are not ours to make.
      ["eth0.ad", null, 0],
      ["veth1", null, 0],
    ]);
  });
});
