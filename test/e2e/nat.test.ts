import { describe, expect, test } from "bun:test";
import type { Capture } from "../../src/lab/capture.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { type Packet, packetText } from "../../src/lab/packet.ts";
import { startProgram } from "../../src/lab/start.ts";
import { curlMany, eventually, startSluice, tally, withLab } from "../lib/lab.ts";
import { killServer, reviveServer } from "../lib/servers.ts";
import { noLab, noXdp } from "../lib/skip.ts";
import { serviceStatus, sluice, untilEligible } from "../lib/status.ts";

const VIP = "125.12.12.12";
const backends = ["10.0.1.210:8000", "10.0.1.211:8000"];

const config = (engine: string, weights: [number, number] = [1, 1]): string => `version: 1
services:
  web:
    method: nat
    listen: [${VIP}:80]
    backends:
      - { address: 10.0.1.210:8000, weight: ${weights[0]} }
      - { address: 10.0.1.211:8000, weight: ${weights[1]} }
    nat: { engine: ${engine} }
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
  echo:
    method: nat
    listen: [${VIP}:7, ${VIP}:7/udp]
    backends: [10.0.1.210:7, 10.0.1.211:7]
    nat: { engine: ${engine} }
    check: { tcp: true, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
`;

interface Hop {
  from: string;
  to: string;
  sourceMac: string;
  destinationMac: string;
}

const hops = (packets: readonly Packet[], pick: (packet: Packet) => boolean): Hop[] =>
  packets.filter(pick).map(({ ip, sourceMac, destinationMac }) => ({
    from: `${ip!.source}:${ip!.tcp!.sourcePort}`,
    to: `${ip!.destination}:${ip!.tcp!.destinationPort}`,
    sourceMac,
    destinationMac,
  }));

const wholeChecksums = (packets: readonly Packet[]): string[] =>
  packets.filter(({ ip }) => ip && !(ip.headerChecksumValid && ip.tcp?.checksumValid !== false)).map(packetText);

/** The article's walk: every hop of one request, with addresses, ports and MACs. */
async function walk(lab: Lab, outside: Capture, inside: Capture): Promise<void> {
  const name = await lab.shell("client", `curl -s --local-port 5656 http://${VIP}/`);
  const backend = lab.address(name);
  const ended = (seen: Packet[]) => seen.filter((p) => p.ip?.tcp?.flags.includes("FIN")).length >= 2;
  const [out, in_] = [await outside.until(ended), await inside.until(ended)];
  const toService = (p: Packet) => p.ip?.tcp?.sourcePort === 5656;
  const toClient = (p: Packet) => p.ip?.tcp?.destinationPort === 5656;
  const first = (packets: Packet[], pick: (p: Packet) => boolean) => hops(packets, pick)[0]!;
  const [router, front, back] = [lab.mac("router", 1), lab.mac("director", 0), lab.mac("director", 1)];
  expect([first(out, toService), first(in_, toService), first(in_, toClient), first(out, toClient)]).toEqual([
    { from: "202.20.20.20:5656", to: `${VIP}:80`, sourceMac: router, destinationMac: front },
    { from: "202.20.20.20:5656", to: `${backend}:8000`, sourceMac: back, destinationMac: lab.mac(name) },
    { from: `${backend}:8000`, to: "202.20.20.20:5656", sourceMac: lab.mac(name), destinationMac: back },
    { from: `${VIP}:80`, to: "202.20.20.20:5656", sourceMac: front, destinationMac: router },
  ]);
  // Nothing else: not one packet of the connection kept an address that it should have lost.
  expect(new Set(hops(out, toClient).map((h) => h.from))).toEqual(new Set([`${VIP}:80`]));
  expect(new Set(hops(in_, toService).map((h) => h.to))).toEqual(new Set([`${backend}:8000`]));
  expect(wholeChecksums([...out, ...in_])).toEqual([]);
}

const udpOnce = (target: string): string =>
  `exec 3<>/dev/udp/${target.replace(":", "/")}; printf hello >&3; timeout 2 head -c 14 <&3`;

describe.each(["nftables", "xdp"])("nat, engine %s", (engine) => {
  const skip = test.skipIf((engine === "xdp" ? noXdp : noLab) !== null);

  skip("the article's walk: four hops, addresses, ports and MACs", async () => {
    await withLab("nat", async (lab) => {
      const daemon = await startSluice(lab, "director", config(engine));
      await untilEligible(lab, daemon, "web", backends);
      const outside = await lab.capture("director", "tcp port 5656");
      const inside = await lab.capture("director", "tcp port 5656", { device: "eth1" });
      await walk(lab, outside, inside);
    });
  });

  skip("TCP and UDP, both backends, shares by weight, the backends' own way out", async () => {
    await withLab("nat", async (lab) => {
      const daemon = await startSluice(lab, "director", config(engine, [3, 1]));
      await untilEligible(lab, daemon, "web", backends);
      await untilEligible(lab, daemon, "echo", ["10.0.1.210:7", "10.0.1.211:7"]);
      const served = tally(await curlMany(lab, `http://${VIP}/`, 120));
      expect(Object.keys(served).sort()).toEqual(["backend1", "backend2"]);
      // 120 draws at 3:1: 90 wanted, six standard deviations are 29.
      expect(Math.abs(served.backend1! - 90)).toBeLessThan(29);
      expect((await lab.exec("client", ["bash", "-c", udpOnce(`${VIP}:7`)])).stdout).toMatch(/^backend[12]:hello$/);
      const size = 20_000_000;
      const up = await lab.shell("client", `head -c ${size} /dev/zero | curl -s -T - http://${VIP}/hash`);
      const wanted = await lab.shell("client", `head -c ${size} /dev/zero | sha256sum`);
      expect([JSON.parse(up).length, wanted.split(" ")[0]]).toEqual([size, JSON.parse(up).sha256]);
      const direct = await lab.shell("backend1", `curl -s http://10.0.1.211:8000/bytes/${size} | sha256sum`);
      expect(await lab.shell("client", `curl -s http://${VIP}/bytes/${size} | sha256sum`)).toBe(direct);
      await startProgram(lab, "client", "http-backend", "--name", "outside", "--port", "8080");
      expect(await lab.shell("backend1", "curl -s --max-time 3 http://202.20.20.20:8080/")).toBe("outside");
      const { counts } = await serviceStatus(lab, daemon, "web");
      expect(counts.packetsIn).toBeGreaterThan(500);
    });
  });

  skip("a dead backend is avoided, connections to the living one hold, and it comes back", async () => {
    await withLab("nat", async (lab) => {
      const daemon = await startSluice(lab, "director", config(engine));
      await untilEligible(lab, daemon, "web", backends);
      await untilEligible(lab, daemon, "echo", ["10.0.1.210:7", "10.0.1.211:7"]);
      const hold = await startProgram(lab, "client", "tcp-hold", "--target", `${VIP}:7`, "--connections", "30");
      await killServer(lab, "backend1");
      await untilEligible(lab, daemon, "web", ["10.0.1.211:8000"]);
      expect(tally(await curlMany(lab, `http://${VIP}/`, 30))).toEqual({ backend2: 30 });
      await reviveServer(lab, "backend1");
      await untilEligible(lab, daemon, "web", backends);
      await eventually("backend1 serves again", async () =>
        (await curlMany(lab, `http://${VIP}/`, 10)).includes("backend1"),
      );
      await sluice(lab, daemon, "reload");
      await hold.stop();
      expect(JSON.parse(hold.stdout())).toMatchObject({ open: 30, broken: 0, wrong: 0, stalled: 0 });
    });
  });
});
