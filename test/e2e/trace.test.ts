import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { TracedPacket } from "../../src/dataplane/trace/text.ts";
import type { HostProcess, Lab } from "../../src/lab/lab.ts";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { configFile, eventually, startSluice, withLab } from "../lib/lab.ts";
import { noXdp } from "../lib/skip.ts";
import { serviceStatus, sluice, untilEligible } from "../lib/status.ts";

const skip = test.skipIf(noXdp !== null);
const VIP = "125.12.12.77";
const reals = ["198.51.100.20", "203.0.113.21"];
const configOf = (backends: readonly string[], blocked: string): string => `version: 1
guard: { blockFiles: [${blocked}] }
services:
  web:
    method: tunnel
    listen: [${VIP}:80]
    backends: [${backends.join(", ")}]
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
  empty:
    method: tunnel
    listen: [${VIP}:81]
    backends: [{ address: ${reals[0]}, state: maintenance }]
`;

/** A trace that runs: resolves once it watches. */
async function watch(lab: Lab, host: string, instance: string, ...args: string[]): Promise<HostProcess> {
  const started = await lab.spawn(host, [sluiceCommand, "trace", ...args, "--instance", instance, "--seconds", "30"]);
  await eventually(`trace on ${host} watches`, () => started.stderr().includes("watching packets"));
  return started;
}

const packetsOf = (process: HostProcess): TracedPacket[] =>
  process
    .stdout()
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as TracedPacket);

skip("trace follows packets through director and real server; drops say why; flows lists what is written down; a reload reads lists anew", async () => {
  await withLab("tunnel", async (lab) => {
    const blocked = `${lab.folder}/blocked`;
    writeFileSync(blocked, "198.18.0.0/15 # nobody here\n");
    const daemon = await startSluice(lab, "director", configOf(reals.slice(0, 1), blocked));
    await untilEligible(lab, daemon, "web", reals.slice(0, 1));
    const filter = ["src 202.20.20.20 and sport 5656", "--json"];
    const atDirector = await watch(lab, "director", daemon.instance, ...filter);
    const atReal = await watch(lab, "real1", lab.state.instances["real1-real"]!, ...filter);
    expect(await lab.shell("client", `curl -s --local-port 5656 http://${VIP}/`)).toBe("real1");
    const ended = (process: HostProcess): boolean => packetsOf(process).some(({ flags }) => flags.includes("FIN"));
    await eventually("the connection's end is seen", () => ended(atDirector) && ended(atReal));
    const [first] = packetsOf(atDirector);
    const shared = { source: "202.20.20.20:5656", target: `${VIP}:80`, flags: ["SYN"], verdict: "forwarded" };
    expect(first).toMatchObject({ ...shared, place: "balance", service: "web", backend: `${reals[0]}:80` });
    expect(first!.left).toBe(first!.came + 20);
    const [inner] = packetsOf(atReal);
    expect(inner).toMatchObject({ ...shared, place: "decap", came: first!.left!, left: first!.came });
    await atDirector.stop();
    await atReal.stop();

    const dropped = await watch(lab, "director", daemon.instance, "verdict dropped", "--pcap", `${lab.folder}/drops`);
    await lab.exec("client", ["curl", "-s", "--max-time", "1", `http://${VIP}:81/`]);
    await dropped.stop();
    const read = await lab.shell("director", `tcpdump -nn -r ${lab.folder}/drops`);
    expect(read).toMatch(/202\.20\.20\.20\.\d+ > 125\.12\.12\.77\.81: Flags \[S\]/);
    const told = await lab.exec("director", [sluiceCommand, "trace", "service emty", "--instance", daemon.instance]);
    expect([told.code, told.stderr]).toEqual([
      2,
      'error: No service "emty" is in the kernel. Did you mean "empty"?\n  service emty\n          ^^^^\n',
    ]);

    expect(JSON.parse(await sluice(lab, daemon, "flows", "--json"))).toEqual({
      schema: "sluice.flows/v1",
      flows: [],
      more: false,
    });
    configFile(lab, "director", configOf(reals, blocked));
    await sluice(lab, daemon, "reload");
    await untilEligible(lab, daemon, "web", reals);
    for (let i = 0; i < 12; i++) await lab.shell("client", `curl -s http://${VIP}/`);
    const { flows } = JSON.parse(await sluice(lab, daemon, "flows", "--service", "web", "--json"));
    expect(flows.length).toBeGreaterThan(0);
    expect(flows[0]).toMatchObject({ service: "web", protocol: "tcp", state: "closed" });
    const page = JSON.parse(await sluice(lab, daemon, "flows", "--limit", "1", "--json"));
    expect(page).toMatchObject({ flows: [{ id: flows[0].id, tag: flows[0].tag }], more: flows.length > 1 });

    writeFileSync(blocked, "202.20.20.0/24\n");
    await sluice(lab, daemon, "reload");
    const refused = await lab.exec("client", ["curl", "-s", "--max-time", "1", `http://${VIP}/`]);
    expect(refused.code).toBe(28);
    const { drops, describe } = await serviceStatus(lab, daemon, "web");
    expect(drops.SLUICE_DROP_BLOCKED).toBeGreaterThan(0);
    expect(describe).toContain("guard: 1 networks blocked, 0 allowed");
    writeFileSync(blocked, "no network\n");
    await expect(sluice(lab, daemon, "reload")).rejects.toThrow(/line 1: "no network" is not a network/);
  });
});
