import { expect, test } from "bun:test";
import { unlinkSync } from "node:fs";
import { makePins, pinsOf } from "../../src/dataplane/pins.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { recordInstance } from "../../src/lab/start.ts";
import { runSync } from "../../src/runtime/child.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { eventually, type Sluice, startSluice, withLab } from "../lib/lab.ts";
import { noXdp } from "../lib/skip.ts";
import { serviceStatus, sluice, untilEligible } from "../lib/status.ts";

const skip = test.skipIf(noXdp !== null);
const VIP = "125.12.12.77";
const reals = ["125.12.12.20", "125.12.12.21"];
/** Behind the director's gateway. */
const FAR = "198.51.100.9";
const FARTHER = "198.51.100.10";

const web = `version: 1
services:
  web:
    method: direct
    listen: [${VIP}:80]
    backends: [${reals.join(", ")}]
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
`;

const served = async (lab: Lab): Promise<string> => lab.shell("client", `curl -s --max-time 3 http://${VIP}/`);

const troubles = async (lab: Lab, daemon: Sluice, service: string): Promise<string[]> =>
  (await serviceStatus(lab, daemon, service)).troubles.map(({ code, message }) => `${code} ${message}`);

skip("a backend that no route leads to, from the start or any more, is named until one does; the other service serves on", async () => {
  await withLab("direct", async (lab) => {
    const far = `  far:
    method: tunnel
    listen: [${VIP}:81]
    backends: [${FAR}, ${FARTHER}]
    check: none
`;
    await lab.shell("director", `ip route add unreachable ${FARTHER}`);
    const daemon = await startSluice(lab, "director", web + far);
    await untilEligible(lab, daemon, "web", reals);
    expect(await troubles(lab, daemon, "far")).toEqual([`SLUICE_NO_ROUTE no route leads to ${FARTHER}`]);
    await lab.shell("director", `ip route del unreachable ${FARTHER}`);
    await eventually("it is found", async () => (await troubles(lab, daemon, "far")).length === 0, 20_000);
    const [was] = (await lab.shell("director", "ip route show default")).trim().split("\n");
    await lab.shell("director", "ip route del default");
    const lost = `SLUICE_NO_ROUTE no route leads to ${FAR}`;
    await eventually("it is missed", async () => (await troubles(lab, daemon, "far")).includes(lost), 20_000);
    expect(await troubles(lab, daemon, "web")).toEqual([]);
    expect(await served(lab)).toMatch(/^real[12]$/);
    expect(await sluice(lab, daemon, "status")).toContain(`SLUICE_NO_ROUTE: no route leads to ${FAR}`);
    await eventually("it is said", () => daemon.stderr().includes(`service far: no route leads to ${FAR}`));
    await lab.shell("director", `ip route add ${was}`);
    await eventually("nothing is wrong", async () => (await troubles(lab, daemon, "far")).length === 0, 20_000);
    const over = `service far: no longer: no route leads to ${FAR}`;
    await eventually("it is said", () => daemon.stderr().includes(over));
  });
});

skip("where the guard's program is refused at the start, the service that needs it fails by name until it is not; the other serves", async () => {
  await withLab("direct", async (lab) => {
    const pins = pinsOf(instancePaths(recordInstance(lab, "director", "director")).bpfDir);
    makePins(pins);
    // Of another shape than the program's own: the kernel lets nobody take it over.
    const words = ["type", "array", "key", "4", "value", "4", "entries", "1", "name", "other"];
    expect(runSync(["bpftool", "map", "create", `${pins.maps}/limits`, ...words]).code).toBe(0);
    const limited = `  limited:
    method: direct
    listen: [${VIP}:7]
    backends: [${reals.join(", ")}]
    direct: { limits: { connections: 1000 } }
    check: { tcp: true, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
`;
    const daemon = await startSluice(lab, "director", web + limited);
    const { state, problem } = await serviceStatus(lab, daemon, "limited");
    expect([state, problem?.code, problem?.path]).toEqual(["failed", "SLUICE_BPF_LOAD", ["services", "limited"]]);
    expect(daemon.stderr()).toContain("SLUICE_BPF_LOAD");
    await untilEligible(lab, daemon, "web", reals);
    expect(await served(lab)).toMatch(/^real[12]$/);
    unlinkSync(`${pins.maps}/limits`);
    await eventually(
      "it is tried again",
      async () => (await serviceStatus(lab, daemon, "limited")).state === "serving",
      30_000,
    );
    await untilEligible(lab, daemon, "limited", reals);
  });
});
