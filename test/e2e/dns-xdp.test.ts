import { expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { xdpMissing } from "../../src/dataplane/testing/network.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { peer } from "../../src/lab/peers.ts";
import { ADDRESSES } from "../../src/lab/topologies/dns.ts";
import { sleep } from "../../src/runtime/clock.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { eventually, type Sluice, startSluice, withLab } from "../lib/lab.ts";
import { killServer } from "../lib/servers.ts";
import { noLab } from "../lib/skip.ts";
import { status, untilEligible } from "../lib/status.ts";

const lacking = noLab ? "no lab" : xdpMissing();
const dig = lacking ? null : await peer("dig").catch((error) => void console.error(`skipped: ${error.message}`));
if (lacking) console.log(`skipped: answers from XDP, end to end: ${lacking}`);
const skip = test.skipIf(!dig);
const NAME = "www.example.com";
const all = ADDRESSES.map((a) => `${a}:80`);

const config = (xdp: string): string => `version: 1
dns: { listen: [125.12.12.53:53], xdp: ${xdp} }
services:
  www:
    method: dns
    names: [${NAME}]
    dns: { ttl: 1s }
    backends: [${all.join(", ")}]
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
`;

async function ask(lab: Lab, ...words: string[]): Promise<string> {
  const command = [dig!.program, "@125.12.12.53", "+tries=1", "+time=3", ...words];
  const { code, stdout, stderr } = await lab.exec("client", command, { env: dig!.env });
  if (code !== 0) throw new Error(`dig: ${stdout}${stderr}`);
  return stdout;
}

const counted = async (lab: Lab, daemon: Sluice, code: string): Promise<number> =>
  (await status(lab, daemon)).methods.find(({ name }) => name === "dns")!.tallies[code as never] ?? 0;

skip("plain questions are answered in the kernel, the others by the workers; status says which and counts both", async () => {
  await withLab("dns", async (lab) => {
    const daemon = await startSluice(lab, "director", config("auto"));
    await untilEligible(lab, daemon, "www", all);
    await eventually("answers from XDP", async () =>
      (await status(lab, daemon)).services[0]!.describe.some((line) => line.startsWith("answers from XDP on ")),
    );
    const before = (await status(lab, daemon)).services[0]!.counts.requests!;
    const answer = await ask(lab, "wWw.example.com", "+nocookie");
    expect(answer).toMatch(/status: NOERROR[\s\S]*flags:[^;]* aa[\s\S]*ANSWER: 5[\s\S]*EDNS: version: 0/);
    expect(answer).toContain("wWw.example.com.");
    expect(await ask(lab, "nothing.example.com", "+nocookie")).toMatch(/status: NXDOMAIN[\s\S]*SOA/);
    expect(await counted(lab, daemon, "SLUICE_DNS_XDP_ANSWERED")).toBe(2);
    expect(await counted(lab, daemon, "SLUICE_DNS_NXDOMAIN")).toBe(1);
    // dig's cookie is answered by a worker.
    expect(await ask(lab, NAME, "+cookie")).toMatch(/COOKIE: [0-9a-f]{32}/);
    expect(await ask(lab, NAME, "+tcp")).toMatch(/ANSWER: 5/);
    expect(await counted(lab, daemon, "SLUICE_DNS_XDP_EDNS")).toBe(1);
    expect((await status(lab, daemon)).services[0]!.counts.requests! - before).toBe(3);

    await killServer(lab, "backend1");
    await untilEligible(lab, daemon, "www", all.slice(1));
    for (let i = 0; i < 5; i++) expect(await ask(lab, NAME, "+short", "+nocookie")).not.toContain(ADDRESSES[0]);
    expect(await counted(lab, daemon, "SLUICE_DNS_XDP_ANSWERED")).toBe(7);
  });
});

skip("an address that leaves the host takes its answers along, and brings them back", async () => {
  await withLab("dns", async (lab) => {
    const daemon = await startSluice(lab, "director", config("auto"));
    await untilEligible(lab, daemon, "www", all);
    const answers = (): Promise<string> => ask(lab, NAME, "+short", "+nocookie").catch(() => "none");
    const inKernel = (): Promise<number> => counted(lab, daemon, "SLUICE_DNS_XDP_ANSWERED");
    const fromKernel = async (): Promise<boolean> => {
      const before = await inKernel();
      return (await answers()) !== "none" && (await inKernel()) > before;
    };
    await eventually("answers from XDP", fromKernel);
    const [held] = JSON.parse(
      (await lab.exec("director", ["ip", "-json", "addr", "show", "to", "125.12.12.53"])).stdout,
    ).filter((link: { ifname?: string }) => link.ifname !== undefined) as {
      ifname: string;
      addr_info: { prefixlen: number }[];
    }[];
    const address = [`125.12.12.53/${held!.addr_info[0]!.prefixlen}`, "dev", held!.ifname];
    // Another of the same network stays, so that the interface is the one where queries for it would arrive.
    await lab.exec("director", ["ip", "addr", "add", "125.12.12.60/25", "dev", held!.ifname]);
    await lab.exec("director", ["ip", "addr", "del", ...address]);
    await eventually("no answers from XDP", async () => {
      const before = await inKernel();
      await answers();
      return (await inKernel()) === before;
    });
    await lab.exec("director", ["ip", "addr", "add", ...address]);
    await eventually("answers from XDP again", fromKernel);
  });
});

skip("a daemon that gives no sign of life is not spoken for: the workers answer until it is back", async () => {
  await withLab("dns", async (lab) => {
    const daemon = await startSluice(lab, "director", config("auto"));
    await untilEligible(lab, daemon, "www", all);
    const fresh = (): Promise<number> => counted(lab, daemon, "SLUICE_DNS_XDP_ANSWERED");
    await eventually("answers from XDP", async () => {
      const before = await fresh();
      await ask(lab, NAME, "+nocookie");
      return (await fresh()) > before;
    });
    expect(await counted(lab, daemon, "SLUICE_DNS_XDP_STALE")).toBe(0);
    process.kill(daemon.pid, "SIGSTOP");
    try {
      // The program's patience is 10 s.
      await sleep(11_000);
      expect(await ask(lab, NAME, "+nocookie")).toMatch(/status: NOERROR[\s\S]*ANSWER: 5/);
    } finally {
      process.kill(daemon.pid, "SIGCONT");
    }
    await eventually("passes were counted", async () => (await counted(lab, daemon, "SLUICE_DNS_XDP_STALE")) > 0);
    const before = await fresh();
    await eventually("answers from XDP again", async () => {
      await ask(lab, NAME, "+nocookie");
      return (await fresh()) > before;
    });
  });
});

skip("what somebody removes of the pins is pinned again, and answers come from XDP anew", async () => {
  await withLab("dns", async (lab) => {
    const daemon = await startSluice(lab, "director", config("auto"));
    await untilEligible(lab, daemon, "www", all);
    const attached = async (): Promise<boolean> => (await lab.exec("director", ["ip", "link"])).stdout.includes("xdp");
    const fromKernel = async (): Promise<boolean> => {
      const before = await counted(lab, daemon, "SLUICE_DNS_XDP_ANSWERED");
      await ask(lab, NAME, "+nocookie");
      return (await counted(lab, daemon, "SLUICE_DNS_XDP_ANSWERED")) > before;
    };
    await eventually("answers from XDP", fromKernel);
    const { bpfDir } = instancePaths(daemon.instance);
    // ms; interfaces are looked at each 5 s.
    const patience = 30_000;
    for (const removed of [bpfDir, `${bpfDir}/links`]) {
      rmSync(removed, { recursive: true });
      await eventually(
        "it is there again",
        () => existsSync(`${bpfDir}/places`) && existsSync(`${bpfDir}/links`),
        patience,
      );
      await eventually("the program is attached", attached, patience);
      await eventually("answers from XDP again", fromKernel, patience);
    }
  });
});

skip("a daemon that is gone takes its answers from the kernel with it", async () => {
  await withLab("dns", async (lab) => {
    const daemon = await startSluice(lab, "director", config("auto"));
    await untilEligible(lab, daemon, "www", all);
    await eventually("answers from XDP", async () =>
      (await lab.exec("director", ["ip", "link"])).stdout.includes("xdp"),
    );
    await daemon.stop();
    expect((await lab.exec("director", ["ip", "link"])).stdout).not.toContain("xdp");
  });
});
