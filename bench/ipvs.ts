/**
 * The kernel's own balancer beside ours, for the same packets to the same backends: direct and its "gatewaying", tunnel
 * and its "tunneling", nat and its "masquerading". Needs a kernel with IPVS; `npm run test:kernel` runs it in one.
 */

import { testBackend, testService } from "../src/dataplane/testing/doors.ts";
import { mac } from "../src/dataplane/testing/fixtures.ts";
import { xdpMissing } from "../src/dataplane/testing/network.ts";
import { peer } from "../src/lab/peers.ts";
import { runSync } from "../src/runtime/child.ts";
import { netnsMissing } from "../src/system/netns-testing.ts";
import { defineBench, type Row, row } from "./lib.ts";
import { Rig } from "./support/packet-rig.ts";
import { wholeWay } from "./support/whole-way.ts";

const VIP = "125.12.12.77";
const FLOWS = 1000;
/** An emulated kernel is slow and its host has others to serve: short rounds, in steps that a veth's ring holds. */
const PACKETS = 1000;
const STEP = 200;
/** Both are measured in turn, so often. */
const TURNS = 5;
const reals = Array.from({ length: 10 }, (_, i) => `10.0.1.${i + 1}`);
const way = { direct: "-g", tunnel: "-i", nat: "-m" } as const;

const service = testService(
  "web",
  [{ address: VIP, port: 80, protocol: "tcp" }],
  reals.map((address, i) => testBackend(i + 1, address, 80)),
);

interface Costs {
  sluice: number;
  ipvs: number;
}

async function measure(method: keyof typeof way, seconds: number): Promise<Costs> {
  const { program, env } = await peer("ipvsadm");
  const ipvsadm = `${Object.entries(env)
    .map(([key, value]) => `${key}=${value}`)
    .join(" ")} ${program}`;
  const rig = await Rig.create(method, service);
  try {
    rig.load({ source: "202.20.0.1", target: VIP, port: 80, flows: FLOWS });
    const neighbours = reals.map((real) => `ip neigh replace ${real} lladdr ${mac.backend} dev eth0`);
    const servers = reals.map((real) => `${ipvsadm} -a -t ${VIP}:80 -r ${real}:80 ${way[method]}`);
    // Without a program of its own a veth takes live frames only with GRO on. The flows began before: no SYN is seen.
    rig.director.sh(`ethtool -K eth0 gro on; ip address add ${VIP}/32 dev lo; ip route replace 10.0.0.0/16 dev eth0
      ${neighbours.join("; ")}
      ${ipvsadm} -A -t ${VIP}:80 -s mh; ${servers.join("; ")}
      sysctl -qw net.ipv4.vs.sloppy_tcp=1`);
    const best = { sluice: Number.POSITIVE_INFINITY, ipvs: Number.POSITIVE_INFINITY };
    for (let turn = 0; turn < TURNS; turn++)
      for (const name of ["sluice", "ipvs"] as const) {
        if (name === "sluice") rig.attachPlane();
        else rig.detach();
        best[name] = Math.min(best[name], wholeWay(rig, FLOWS, seconds / TURNS, { packets: PACKETS, step: STEP }).cpu);
      }
    return best;
  } finally {
    rig.close();
  }
}

export default defineBench({
  summary: "ns of a CPU per packet through direct, tunnel and nat, beside IPVS of the same kernel",
  cases: Object.keys(way),
  async run(progress, { only, seconds }) {
    const lacking = runSync(["modprobe", "-a", "ip_vs", "ip_vs_mh"]).code === 0 ? null : "this kernel has no IPVS";
    const missing = netnsMissing() ?? xdpMissing() ?? lacking;
    if (missing) throw new Error(`cannot be measured here: ${missing}`);
    const rows: Row[] = [];
    for (const method of Object.keys(way) as (keyof typeof way)[]) {
      if (only.length > 0 && !only.includes(method)) continue;
      progress(method);
      const { sluice, ipvs } = await measure(method, seconds);
      rows.push(row(`1k-flows/${method}/cpu-ns`, "ns", "lower", sluice, { ipvs }));
    }
    return { rows };
  },
});
