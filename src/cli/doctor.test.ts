import { expect, test } from "bun:test";
import { dirname } from "node:path";
import { Kernel } from "../dataplane/kernel.ts";
import { testDoors } from "../dataplane/testing/doors.ts";
import { xdpMissing } from "../dataplane/testing/network.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { fastFindings, memoryFindings, methodFindings } from "./doctor.ts";

const able = { able: true };
const all = {
  CAP_NET_ADMIN: able,
  CAP_BPF: able,
  CAP_NET_BIND_SERVICE: able,
  xdp: able,
  nftables: able,
};
const links = new Map([
  ["eth0", { kind: null }],
  ["veth1", { kind: "veth" }],
]);

test("dns from XDP: where it can be answered, or what it lacks", () => {
  expect(fastFindings(all, links)).toEqual([
    {
      item: "dns from XDP",
      state: "good",
      seen: "can be answered on eth0 (driver's hook), veth1 (generic hook, or the device below)",
      fix: null,
    },
  ]);
  expect(fastFindings(all, new Map())[0]).toMatchObject({ state: "warn", seen: expect.stringContaining("Ethernet") });
  const [lacking] = fastFindings({ ...all, xdp: { able: false } }, links);
  expect(lacking).toMatchObject({ state: "warn", seen: "lacks xdp: the workers answer" });
  expect(lacking!.fix).toContain("kernel");
});

test("a method cannot run without the programs that it calls", () => {
  const said = (absent: string[]) => methodFindings(all, absent).map(({ item, seen }) => `${item}: ${seen}`);
  expect(new Set(methodFindings(all, ["tcpdump"]).map(({ seen }) => seen))).toEqual(new Set(["can run"]));
  expect(said(["ip"])).toEqual([
    "method redirect: can run",
    "method dns: can run",
    "method proxy: can run",
    "method nat: lacks ip",
    "method direct: lacks ip",
    "method tunnel: lacks ip",
  ]);
  expect(methodFindings(all, ["setpriv"])[0]!.fix).toBe("apt-get install util-linux");
});

test.skipIf((netnsMissing() ?? xdpMissing()) !== null)(
  "memory that the kernel keeps for an instance, though no daemon runs",
  () => {
    const doors = testDoors();
    const kernel = new Kernel(doors.bpfDir);
    try {
      kernel.memory.tables.make(0);
      expect(memoryFindings(dirname(doors.bpfDir))).toEqual([
        {
          item: "kernel memory of plane",
          state: "good",
          seen: expect.stringMatching(/^\d+\.\dMiB in \d+ maps, 14\d(\.\d)?KiB for the tables of a service$/),
          fix: null,
        },
      ]);
    } finally {
      kernel.destroy();
      doors.close();
    }
  },
);
