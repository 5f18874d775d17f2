import { expect, test } from "bun:test";
import type { Lab } from "../../src/lab/lab.ts";
import { type Packet, packetText } from "../../src/lab/packet.ts";
import { startProgram } from "../../src/lab/start.ts";
import { curlMany, eventually, type Sluice, startSluice, tally, withLab } from "../lib/lab.ts";
import { killServer, reviveServer } from "../lib/servers.ts";
import { noXdp } from "../lib/skip.ts";
import { sluice, untilEligible } from "../lib/status.ts";

const skip = test.skipIf(noXdp !== null);
const VIP = "125.12.12.77";
const reals = ["198.51.100.20", "203.0.113.21"];

const config = `version: 1
services:
  web:
    method: tunnel
    listen: [${VIP}:80]
    backends: [${reals.join(", ")}]
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
  echo:
    method: tunnel
    listen: [${VIP}:7, ${VIP}:7/udp]
    backends: [${reals.join(", ")}]
    check: { tcp: true, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
`;

async function startTunnel(lab: Lab): Promise<Sluice> {
  const daemon = await startSluice(lab, "director", config);
  for (const service of ["web", "echo"]) await untilEligible(lab, daemon, service, reals);
  return daemon;
}

skip("outer and inner headers; the reply goes straight to the client", async () => {
  await withLab("tunnel", async (lab) => {
    await startTunnel(lab);
    const filter = "tcp port 5656 or ip proto 4";
    const atDirector = await lab.capture("director", filter);
    const atReals = [await lab.capture("real1", filter), await lab.capture("real2", filter)];
    const name = await lab.shell("client", `curl -s --local-port 5656 http://${VIP}/`);
    const ofClient = (p: Packet) => (p.ip?.inner ?? p.ip)?.tcp?.sourcePort === 5656;
    const ended = (seen: Packet[]) => seen.some((p) => ofClient(p) && p.ip?.inner?.tcp?.flags.includes("FIN"));
    await atReals[name === "real1" ? 0 : 1]!.until(ended);
    const seen = await atDirector.stop();
    const real = (await Promise.all(atReals.map((c) => c.stop())))[name === "real1" ? 0 : 1]!;
    const plain = seen.filter((p) => p.ip?.tcp?.sourcePort === 5656);
    const wrapped = seen.filter((p) => ofClient(p) && p.ip?.inner);
    expect(wrapped.length).toBe(plain.length);
    for (const { ip } of wrapped) {
      expect([ip!.destination, ip!.protocol, ip!.headerChecksumValid]).toEqual([lab.address(name), 4, true]);
      expect([ip!.inner!.source, ip!.inner!.destination]).toEqual(["202.20.20.20", VIP]);
      expect(ip!.inner!.tcp).toMatchObject({ sourcePort: 5656, destinationPort: 80, checksumValid: true });
    }
    expect(wrapped.every(({ ip }) => ip!.source.startsWith("125.12.12."))).toBe(true);
    // The inner packet is the client's, byte for byte.
    const inner = (p: Packet) => Buffer.from(p.bytes.subarray(34, 14 + p.ip!.length)).toString("hex");
    const outer = (p: Packet) => Buffer.from(p.bytes.subarray(14, 14 + p.ip!.length)).toString("hex");
    expect(wrapped.map(inner)).toEqual(plain.map(outer));
    expect(seen.filter((p) => p.ip?.source === VIP && ofClient(p)).map(packetText)).toEqual([]);
    expect(seen.filter((p) => p.ip?.source === VIP && p.ip.tcp?.destinationPort === 5656).map(packetText)).toEqual([]);
    const replies = real.filter((p) => p.ip?.source === VIP && p.ip.tcp?.destinationPort === 5656);
    expect(replies.length).toBeGreaterThan(2);
    expect(new Set(replies.map((p) => p.ip!.destination))).toEqual(new Set(["202.20.20.20"]));
  });
});

skip("100 MB up and down at MTU 1500, UDP, both real servers", async () => {
  await withLab("tunnel", async (lab) => {
    await startTunnel(lab);
    expect(Object.keys(tally(await curlMany(lab, `http://${VIP}/`, 40))).sort()).toEqual(["real1", "real2"]);
    const udp = `exec 3<>/dev/udp/${VIP}/7; printf hello >&3; timeout 2 head -c 11 <&3`;
    expect((await lab.exec("client", ["bash", "-c", udp])).stdout).toMatch(/^real[12]:hello$/);
    const size = 100_000_000;
    const options = "--max-time 60 -s";
    const near = await lab.shell("router", `curl -s http://${reals[0]}/bytes/${size} | sha256sum`);
    expect(await lab.shell("client", `curl ${options} http://${VIP}/bytes/${size} | sha256sum`)).toBe(near);
    const up = await lab.shell("client", `head -c ${size} /dev/zero | curl ${options} -T - http://${VIP}/hash`);
    const wanted = await lab.shell("client", `head -c ${size} /dev/zero | sha256sum`);
    expect([JSON.parse(up).length, JSON.parse(up).sha256]).toEqual([size, wanted.split(" ")[0]]);
  });
});

skip("connections hold over a death elsewhere and a reload; the dead one is avoided and comes back", async () => {
  await withLab("tunnel", async (lab) => {
    const daemon = await startTunnel(lab);
    const target = ["--target", `${VIP}:7`, "--connections", "60"];
    const held = await startProgram(lab, "client", "tcp-hold", ...target);
    await killServer(lab, "real1");
    await untilEligible(lab, daemon, "web", reals.slice(1));
    expect(tally(await curlMany(lab, `http://${VIP}/`, 20))).toEqual({ real2: 20 });
    await reviveServer(lab, "real1");
    await untilEligible(lab, daemon, "web", reals);
    await eventually("real1 serves again", async () => (await curlMany(lab, `http://${VIP}/`, 10)).includes("real1"));
    await sluice(lab, daemon, "reload");
    daemon.signal("SIGKILL");
    await daemon.gone();
    expect(tally(await curlMany(lab, `http://${VIP}/`, 20)).lost).toBeUndefined();
    await startTunnel(lab);
    expect(tally(await curlMany(lab, `http://${VIP}/`, 20)).lost).toBeUndefined();
    await held.stop();
    expect(JSON.parse(held.stdout())).toMatchObject({ open: 60, broken: 0, wrong: 0, stalled: 0 });
  });
});
