import { describe, expect, test } from "bun:test";
import type { Lab } from "../../src/lab/lab.ts";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { withLab } from "../lib/lab.ts";
import { noLab } from "../lib/skip.ts";

const skip = test.skipIf(noLab !== null);
const VIP = "125.12.12.77";

const realserver = async (lab: Lab, host: string, verb: string): Promise<void> => {
  const instance = lab.state.instances[`${host}-real`]!;
  const command = [sluiceCommand, "realserver", verb, "--method", "direct", "--vip", VIP, "--device", "eth0"];
  const { code, stdout, stderr } = await lab.exec(host, [...command, "--instance", instance]);
  if (code !== 0) throw new Error(`realserver ${verb}: ${stdout}${stderr}`);
};

/** Who answers when the router asks for the VIP: MACs. */
async function ownersOfVip(lab: Lab): Promise<string[]> {
  const capture = await lab.capture("router", "arp", { device: "eth1" });
  await lab.exec("router", ["ip", "neigh", "flush", "dev", "eth1"]);
  await lab.exec("router", ["bash", "-c", `echo x >/dev/udp/${VIP}/9`]);
  await capture.until((seen) => seen.some((p) => p.arp?.operation === "request" && p.arp.target === VIP));
  const packets = await capture.stop();
  const asked = packets.filter((p) => p.arp?.operation === "request" && p.arp.target === VIP);
  expect(asked.length).toBeGreaterThan(0);
  const answers = packets.filter((p) => p.arp?.operation === "reply" && p.arp.sender === VIP);
  return [...new Set(answers.map((p) => p.arp!.senderMac))].sort();
}

const settings = (lab: Lab, host: string): Promise<string> =>
  lab.shell(
    host,
    "ip -br address show lo; ip route show table local; sysctl -n net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce",
  );

describe("a real server of direct", () => {
  skip("holds the VIP and is silent to ARP for it; without the preparation it would answer", async () => {
    await withLab("direct", async (lab) => {
      for (const host of ["real1", "real2"])
        expect(await lab.shell(host, "ip -br address show lo")).toContain(`${VIP}/32`);
      expect(await ownersOfVip(lab)).toEqual([]);
      for (const host of ["real1", "real2"]) await lab.shell(host, "sysctl -qw net.ipv4.conf.all.arp_ignore=0");
      expect(await ownersOfVip(lab)).toEqual([lab.mac("real1"), lab.mac("real2")].sort());
    });
  });

  skip("asks for others in its own name, not the VIP's", async () => {
    await withLab("direct", async (lab) => {
      const capture = await lab.capture("real1", "arp");
      await lab.shell("real1", "ip neigh flush dev eth0");
      await lab.exec("real1", ["curl", "-s", "--max-time", "1", "--interface", VIP, "http://125.12.12.21/"]);
      const requests = (await capture.stop()).filter((p) => p.arp?.operation === "request");
      expect(requests.length).toBeGreaterThan(0);
      expect(new Set(requests.filter((p) => p.sourceMac === lab.mac("real1")).map((p) => p.arp!.sender))).toEqual(
        new Set(["125.12.12.20"]),
      );
    });
  });

  skip("up twice is up once; down leaves the host as it was", async () => {
    await withLab(
      "direct",
      async (lab) => {
        const before = await settings(lab, "real1");
        lab.state.instances["real1-real"] = `slu${lab.state.id}-real1-real`;
        await realserver(lab, "real1", "up");
        const prepared = await settings(lab, "real1");
        expect(prepared).not.toBe(before);
        await realserver(lab, "real1", "up");
        expect(await settings(lab, "real1")).toBe(prepared);
        await realserver(lab, "real1", "down");
        expect(await settings(lab, "real1")).toBe(before);
      },
      { servers: false, realServers: false },
    );
  });
});
