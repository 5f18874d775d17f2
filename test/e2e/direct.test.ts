import { expect, test } from "bun:test";
import type { Lab } from "../../src/lab/lab.ts";
import { type Packet, packetText } from "../../src/lab/packet.ts";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { startProgram } from "../../src/lab/start.ts";
import { curlMany, eventually, type Sluice, startSluice, tally, withLab } from "../lib/lab.ts";
import { killServer, reviveServer } from "../lib/servers.ts";
import { noXdp } from "../lib/skip.ts";
import { serviceStatus, sluice, untilEligible } from "../lib/status.ts";

const skip = test.skipIf(noXdp !== null);
const VIP = "125.12.12.77";
const reals = ["125.12.12.20", "125.12.12.21"];

const config = (weights: [number, number] = [1, 1]): string => `version: 1
secret: what both directors know
services:
  web:
    method: direct
    listen: [${VIP}:80]
    backends:
      - { address: ${reals[0]}, weight: ${weights[0]} }
      - { address: ${reals[1]}, weight: ${weights[1]} }
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
  echo:
    method: direct
    listen: [${VIP}:7, ${VIP}:7/udp]
    backends: [${reals.join(", ")}]
    check: { tcp: true, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
`;

async function startDirect(
  lab: Lab,
  host = "director",
  args: string[] = [],
  weights?: [number, number],
): Promise<Sluice> {
  const daemon = await startSluice(lab, host, config(weights), args);
  for (const service of ["web", "echo"]) await untilEligible(lab, daemon, service, reals);
  return daemon;
}

const hold = (lab: Lab, connections: number) =>
  startProgram(lab, "client", "tcp-hold", "--target", `${VIP}:7`, "--connections", String(connections));

/** Everything after the Ethernet header, without padding. */
const ipBytes = ({ bytes, ip }: Packet): string => Buffer.from(bytes.subarray(14, 14 + ip!.length)).toString("hex");

const fin = (seen: Packet[]): boolean => seen.some((p) => p.ip?.tcp?.flags.includes("FIN"));

skip("only the MAC changes, and the reply goes past the director", async () => {
  await withLab("direct", async (lab) => {
    await startDirect(lab);
    const atDirector = await lab.capture("director", "tcp port 5656");
    const atRouter = await lab.capture("router", "tcp port 5656", { device: "eth1" });
    const atReals = [await lab.capture("real1", "tcp port 5656"), await lab.capture("real2", "tcp port 5656")];
    const name = await lab.shell("client", `curl -s --local-port 5656 http://${VIP}/`);
    await atRouter.until(fin);
    const seen = await atDirector.stop();
    const real = (await Promise.all(atReals.map((c) => c.stop())))[name === "real1" ? 0 : 1]!;
    const [director, router, server] = [lab.mac("director"), lab.mac("router", 1), lab.mac(name)];
    const arriving = seen.filter((p) => p.destinationMac === director);
    const leaving = seen.filter((p) => p.sourceMac === director);
    expect(arriving.length).toBeGreaterThan(3);
    expect(new Set(arriving.map((p) => p.sourceMac))).toEqual(new Set([router]));
    expect(new Set(leaving.map((p) => p.destinationMac))).toEqual(new Set([server]));
    expect(leaving.map(ipBytes)).toEqual(arriving.map(ipBytes));
    // At the director there is not one packet of the way back.
    expect(seen.filter((p) => p.ip?.source === VIP).map(packetText)).toEqual([]);
    const replies = real.filter((p) => p.ip?.source === VIP);
    expect(replies.length).toBeGreaterThan(2);
    for (const reply of replies) {
      expect([reply.sourceMac, reply.destinationMac]).toEqual([server, router]);
      expect([reply.ip!.destination, reply.ip!.tcp!.sourcePort]).toEqual(["202.20.20.20", 80]);
      expect(reply.ip!.tcp!.checksumValid).toBe(true);
    }
  });
});

skip("shares by weight, UDP, large bodies; the VIP is the director's alone", async () => {
  await withLab("direct", async (lab) => {
    const daemon = await startDirect(lab, "director", [], [3, 1]);
    const arp = await lab.capture("router", "arp", { device: "eth1" });
    await lab.shell("router", "ip neigh flush dev eth1");
    const served = tally(await curlMany(lab, `http://${VIP}/`, 120));
    expect(Object.keys(served).sort()).toEqual(["real1", "real2"]);
    expect(Math.abs(served.real1! - 90)).toBeLessThan(29);
    const owners = (await arp.stop()).filter((p) => p.arp?.operation === "reply" && p.arp.sender === VIP);
    expect(new Set(owners.map((p) => p.arp!.senderMac))).toEqual(new Set([lab.mac("director")]));
    const udp = `exec 3<>/dev/udp/${VIP}/7; printf hello >&3; timeout 2 head -c 11 <&3`;
    expect((await lab.exec("client", ["bash", "-c", udp])).stdout).toMatch(/^real[12]:hello$/);
    const size = 20_000_000;
    const near = await lab.shell("router", `curl -s http://${reals[0]}/bytes/${size} | sha256sum`);
    expect(await lab.shell("client", `curl -s http://${VIP}/bytes/${size} | sha256sum`)).toBe(near);
    const up = JSON.parse(await lab.shell("client", `head -c ${size} /dev/zero | curl -s -T - http://${VIP}/hash`));
    expect(up.length).toBe(size);
    const { counts } = await serviceStatus(lab, daemon, "web");
    expect(counts.packetsIn).toBeGreaterThan(500);
    expect([counts.active, counts.packetsOut, counts.bytesOut]).toEqual([null, null, null]);
  });
});

skip("explain says where a flow goes, and that is where it goes", async () => {
  await withLab("direct", async (lab) => {
    const daemon = await startDirect(lab);
    const names: Record<string, string> = { [reals[0]!]: "real1", [reals[1]!]: "real2" };
    for (let port = 40_000; port < 40_006; port++) {
      const flow = ["--from", `202.20.20.20:${port}`, "--to", `${VIP}:80`];
      const said = JSON.parse(await sluice(lab, daemon, "explain", ...flow, "--json"));
      const body = await lab.shell("client", `curl -s --max-time 3 --local-port ${port} http://${VIP}/`);
      expect(body).toBe(names[said.first.backend.address]!);
      expect(said.lines).toContain(`a first packet goes to ${said.first.backend.address}:80 (up)`);
      const ip = `IPv4 202.20.20.20 > ${VIP}, TTL 64 | TCP ${port} > 80`;
      expect(said.lines.at(-1)).toMatch(/^it leaves by \w+: [0-9a-f:]{17} > [0-9a-f:]{17} \| /);
      expect(said.lines.at(-1)).toEndWith(ip);
    }
  });
});

skip("connections hold over a death elsewhere, a drain, a reload; the dead one is avoided and comes back", async () => {
  await withLab("direct", async (lab) => {
    const daemon = await startDirect(lab);
    const held = await hold(lab, 60);
    await killServer(lab, "real1");
    await untilEligible(lab, daemon, "web", reals.slice(1));
    expect(tally(await curlMany(lab, `http://${VIP}/`, 20))).toEqual({ real2: 20 });
    await reviveServer(lab, "real1");
    await untilEligible(lab, daemon, "web", reals);
    await eventually("real1 serves again", async () => (await curlMany(lab, `http://${VIP}/`, 10)).includes("real1"));
    await sluice(lab, daemon, "set", "backend", `echo/${reals[0]}`, "state", "drain");
    await untilEligible(lab, daemon, "echo", reals.slice(1));
    await sluice(lab, daemon, "set", "backend", `echo/${reals[0]}`, "state", "ready");
    await sluice(lab, daemon, "reload");
    await untilEligible(lab, daemon, "echo", reals);
    await held.stop();
    expect(JSON.parse(held.stdout())).toMatchObject({ open: 60, broken: 0, wrong: 0, stalled: 0 });
  });
});

skip("a real server that serves on its own address but lacks the VIP is down", async () => {
  await withLab("direct", async (lab) => {
    const daemon = await startDirect(lab);
    const command = [sluiceCommand, "realserver", "down", "--method", "direct", "--vip", VIP];
    const down = await lab.exec("real1", [...command, "--instance", lab.state.instances["real1-real"]!]);
    expect([down.code, down.stderr]).toEqual([0, expect.any(String)]);
    expect(await lab.shell("client", `curl -s http://${reals[0]}/`)).toBe("real1");
    await untilEligible(lab, daemon, "web", reals.slice(1));
  });
});

skip("a standby promoted in the middle of 100 open connections breaks none", async () => {
  await withLab("direct", async (lab) => {
    await startDirect(lab);
    const standby = await startDirect(lab, "standby", ["--standby"]);
    const held = await hold(lab, 100);
    await lab.cable("director", "down");
    await sluice(lab, standby, "promote");
    expect(tally(await curlMany(lab, `http://${VIP}/`, 20)).lost).toBeUndefined();
    const before = (await serviceStatus(lab, standby, "echo")).counts.packetsIn!;
    await eventually("the held connections go through the standby", async () => {
      const { counts } = await serviceStatus(lab, standby, "echo");
      return counts.packetsIn! > before + 200;
    });
    await held.stop();
    expect(JSON.parse(held.stdout())).toMatchObject({ open: 100, broken: 0, wrong: 0, stalled: 0 });
    const vipAt = async (host: string) => (await lab.shell(host, "ip -br address show eth0")).includes(VIP);
    const state = async () => (await serviceStatus(lab, standby, "web")).state;
    expect([await vipAt("standby"), await state()]).toEqual([true, "serving"]);
    await sluice(lab, standby, "demote");
    expect([await vipAt("standby"), await state()]).toEqual([false, "standby"]);
  });
});

skip("the only NIC is safe: SSH-like connections live through start, reload, kill -9, restart and stop", async () => {
  await withLab("direct", async (lab) => {
    await startProgram(lab, "director", "tcp-echo", "--name", "director", "--port", "22");
    const ssh = await startProgram(lab, "client", "tcp-hold", "--target", "125.12.12.12:22", "--connections", "3");
    const daemon = await startDirect(lab);
    const held = await hold(lab, 30);
    await sluice(lab, daemon, "reload");
    daemon.signal("SIGKILL");
    await daemon.gone();
    // Nobody is in charge now, and not one packet is lost.
    expect(tally(await curlMany(lab, `http://${VIP}/`, 30)).lost).toBeUndefined();
    const next = await startDirect(lab);
    expect(tally(await curlMany(lab, `http://${VIP}/`, 30)).lost).toBeUndefined();
    await held.stop();
    expect(JSON.parse(held.stdout())).toMatchObject({ open: 30, broken: 0, wrong: 0, stalled: 0 });
    await next.stop(10_000);
    await ssh.stop();
    expect(JSON.parse(ssh.stdout())).toMatchObject({ open: 3, broken: 0, wrong: 0, stalled: 0 });
    expect(await lab.shell("director", "ip -d link show eth0")).not.toContain("prog/xdp");
    expect(await lab.shell("director", "ip -br address show eth0")).not.toContain(VIP);
  });
});
