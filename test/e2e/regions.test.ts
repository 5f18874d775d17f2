import { expect, test } from "bun:test";
import type { Lab } from "../../src/lab/lab.ts";
import { eventually, startSluice, withLab } from "../lib/lab.ts";
import { killServer, reviveServer } from "../lib/servers.ts";
import { noXdp } from "../lib/skip.ts";
import { untilEligible } from "../lib/status.ts";

const VIP = "125.12.12.77";
const reals = { europe: "203.0.113.20", america: "198.51.100.20", asia: "192.0.2.20" };

const whoServes = (lab: Lab, host: string): Promise<string> => lab.shell(host, `curl -s --max-time 2 http://${VIP}/`);

test.skipIf(noXdp !== null)(
  "each region's clients are tunnelled to its own real server, to the next one's while it is dead, and home again",
  async () => {
    await withLab("regions", async (lab) => {
      const daemon = await startSluice(lab, "director", "examples/regions/sluice.yaml");
      await untilEligible(lab, daemon, "web", Object.values(reals));
      const capture = await lab.capture("director", "ip proto 4");
      for (const [i, region] of Object.keys(reals).entries()) expect(await whoServes(lab, region)).toBe(`real${i + 1}`);
      const wrapped = (await capture.stop()).filter(({ ip }) => ip?.inner?.source.endsWith(".100"));
      // Client and real server of each packet are in one network.
      const pairs = new Set(wrapped.map(({ ip }) => `${ip!.inner!.source} > ${ip!.destination}`));
      expect(pairs).toEqual(new Set(Object.values(reals).map((real) => `${real.replace(/20$/, "100")} > ${real}`)));
      await killServer(lab, "real1");
      await untilEligible(lab, daemon, "web", [reals.america, reals.asia]);
      await eventually("america serves europe", async () => (await whoServes(lab, "europe")) === "real2");
      expect(await whoServes(lab, "asia")).toBe("real3");
      await reviveServer(lab, "real1");
      await untilEligible(lab, daemon, "web", Object.values(reals));
      await eventually("europe serves itself", async () => (await whoServes(lab, "europe")) === "real1");
    });
  },
);
