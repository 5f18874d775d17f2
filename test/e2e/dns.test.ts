import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Lab } from "../../src/lab/lab.ts";
import { peer } from "../../src/lab/peers.ts";
import { accessLog, startProgram } from "../../src/lab/start.ts";
import { ADDRESSES } from "../../src/lab/topologies/dns.ts";
import { eventually, startSluice, withLab } from "../lib/lab.ts";
import { killServer, reviveServer } from "../lib/servers.ts";
import { noLab } from "../lib/skip.ts";
import { untilEligible } from "../lib/status.ts";

const dig = noLab ? null : await peer("dig").catch((error) => void console.error(`skipped: ${error.message}`));
const skip = test.skipIf(!dig);
const NAME = "www.example.com";

const config = `version: 1
dns: { listen: [125.12.12.53:53] }
services:
  www:
    method: dns
    names: [${NAME}]
    dns: { ttl: 1s }
    backends: [${ADDRESSES.map((a) => `${a}:80`).join(", ")}]
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
`;
const all = ADDRESSES.map((a) => `${a}:80`);

async function ask(lab: Lab, ...words: string[]): Promise<string> {
  const command = [dig!.program, "@125.12.12.53", "+tries=1", "+time=3", ...words];
  const { code, stdout, stderr } = await lab.exec("client", command, { env: dig!.env });
  if (code !== 0) throw new Error(`dig: ${stdout}${stderr}`);
  return stdout;
}
const addresses = async (lab: Lab, ...words: string[]): Promise<string[]> =>
  (await ask(lab, "+short", NAME, ...words)).trim().split("\n");

skip("the article's dig: five addresses, each first in turn, over UDP and TCP", async () => {
  await withLab("dns", async (lab) => {
    const daemon = await startSluice(lab, "director", config);
    await untilEligible(lab, daemon, "www", all);
    const capture = await lab.capture("client", "port 53");
    const firsts = new Set<string>();
    for (let i = 0; i < 10; i++) {
      const answer = await addresses(lab);
      expect([...answer].sort()).toEqual([...ADDRESSES].sort());
      firsts.add(answer[0]!);
    }
    expect([...firsts].sort()).toEqual([...ADDRESSES].sort());
    expect((await addresses(lab, "+tcp")).sort()).toEqual([...ADDRESSES].sort());
    const packets = await capture.stop();
    const udp = packets.filter((p) => p.ip?.udp && p.ip.destination === "202.20.20.20");
    expect(udp.length).toBe(10);
    expect(udp.every(({ ip }) => ip!.source === "125.12.12.53" && ip!.udp!.sourcePort === 53)).toBe(true);
    expect(packets.some(({ ip }) => ip?.tcp?.sourcePort === 53)).toBe(true);
  });
});

skip("dig's other questions: what is not there, what is not ours, EDNS", async () => {
  await withLab("dns", async (lab) => {
    const daemon = await startSluice(lab, "director", config);
    await untilEligible(lab, daemon, "www", all);
    expect(await ask(lab, NAME)).toMatch(/status: NOERROR[\s\S]*flags:[^;]* aa[\s\S]*ANSWER: 5[\s\S]*EDNS: version: 0/);
    expect(await ask(lab, NAME, "AAAA")).toMatch(/status: NOERROR[\s\S]*ANSWER: 0, AUTHORITY: 1[\s\S]*SOA/);
    expect(await ask(lab, "nothing.example.com")).toMatch(/status: NXDOMAIN[\s\S]*SOA/);
    expect(await ask(lab, "www.example.org")).toMatch(/status: REFUSED/);
    expect(await ask(lab, "example.com", "SOA")).toMatch(/status: NOERROR[\s\S]*ANSWER: 1/);
    expect(await ask(lab, "example.com", "NS")).toMatch(/status: NOERROR/);
    expect(await ask(lab, "WwW.ExAmPlE.cOm", "+noall", "+question")).toContain("WwW.ExAmPlE.cOm");
  });
});

skip("a dead backend is answered no more, and again once it is back; clients follow after the TTL", async () => {
  await withLab("dns", async (lab) => {
    const daemon = await startSluice(lab, "director", config);
    await untilEligible(lab, daemon, "www", all);
    const url = `http://${NAME}/`;
    const load = await startProgram(lab, "client", "http-load", "--url", url, "--resolve", "125.12.12.53");
    await killServer(lab, "backend1");
    await untilEligible(lab, daemon, "www", all.slice(1));
    for (let i = 0; i < 5; i++) expect(await addresses(lab)).not.toContain(ADDRESSES[0]);
    await reviveServer(lab, "backend1");
    await untilEligible(lab, daemon, "www", all);
    await eventually("the first address is answered again", async () => (await addresses(lab)).includes(ADDRESSES[0]!));
    const log = () => readFileSync(accessLog(lab, "backend1"), "utf8");
    const before = log()
      .split("\n")
      .filter((line) => line.includes(NAME)).length;
    await eventually(
      "clients come to it again",
      () =>
        log()
          .split("\n")
          .filter((line) => line.includes(NAME)).length > before,
    );
    await load.stop();
    const { ok, errors } = JSON.parse(load.stdout());
    expect(ok).toBeGreaterThan(20);
    // Only what went to the dead one may be lost: its port refuses.
    expect(Object.keys(errors).filter((why) => why !== "refused" && why !== "closed early")).toEqual([]);
  });
});

skip("an answer too large for the client's datagram: truncated, and whole over TCP; both families", async () => {
  const many = Array.from({ length: 60 }, (_, i) => `192.0.2.${i + 1}`);
  const text = `version: 1
dns: { listen: [125.12.12.53:53] }
services:
  many:
    method: dns
    names: [many.example.com]
    backends: [${many.join(", ")}, "2001:db8::1", "2001:db8::2"]
`;
  await withLab(
    "dns",
    async (lab) => {
      await startSluice(lab, "director", text);
      const cut = await ask(lab, "many.example.com", "+noedns", "+ignore");
      expect(cut).toMatch(/flags:[^;]* tc[\s\S]*ANSWER: 0/);
      const capture = await lab.capture("client", "port 53");
      const whole = await ask(lab, "many.example.com", "+noedns", "+short");
      expect(whole.trim().split("\n").sort()).toEqual([...many].sort());
      const packets = await capture.stop();
      expect(packets.some(({ ip }) => ip?.udp?.sourcePort === 53)).toBe(true);
      expect(packets.some(({ ip }) => ip?.tcp?.sourcePort === 53)).toBe(true);
      const six = await ask(lab, "many.example.com", "AAAA", "+short");
      expect(six.trim().split("\n").sort()).toEqual(["2001:db8::1", "2001:db8::2"]);
    },
    { servers: false },
  );
});
