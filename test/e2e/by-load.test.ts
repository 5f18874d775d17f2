/** Weights that follow what agents report, through the whole product: agent, checker, book, slots, packets. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { Lab } from "../../src/lab/lab.ts";
import { startProgram } from "../../src/lab/start.ts";
import { curlMany, eventually, startSluice, tally, withLab } from "../lib/lab.ts";
import { noXdp } from "../lib/skip.ts";
import { serviceStatus, untilEligible } from "../lib/status.ts";

const VIP = "125.12.12.12";
const hosts = ["backend1", "backend2"] as const;
// Windows close after two seconds of silence: who is held says something all the time.
const options =
  "nat: { engine: xdp, byLoad: true, idle: { tcp: 2s, udp: 1s } }, agent: { port: 9000, interval: 500ms }";
const config = `version: 1
services:
  web: { method: nat, listen: [${VIP}:80], backends: [10.0.1.210:8000, 10.0.1.211:8000], ${options} }
  echo: { method: nat, listen: [${VIP}:7], backends: [10.0.1.210:7, 10.0.1.211:7], ${options} }
`;

/** An agent on each backend, which answers what stands in a file; gives what writes it. */
async function startAgents(lab: Lab): Promise<(loads: readonly [number, number]) => void> {
  const file = (host: string): string => `${lab.folder}/${host}-load`;
  const say = (loads: readonly [number, number]): void =>
    hosts.forEach((host, i) => {
      writeFileSync(file(host), `up load:${loads[i]}\n`);
    });
  say([0.5, 0.5]);
  for (const host of hosts) {
    const answer = `open(socket) { socket.end(require("node:fs").readFileSync("${file(host)}")); }, data() {}`;
    const program = `Bun.listen({ hostname: "0.0.0.0", port: 9000, socket: { ${answer} } }); console.error("ready:");`;
    const agent = await lab.spawn(host, [process.execPath, "-e", program]);
    await agent.says("ready:");
  }
  return say;
}

test.skipIf(noXdp !== null)(
  "new work goes where agents report room, in steps, and what is held stays",
  async () => {
    await withLab("nat", async (lab) => {
      const say = await startAgents(lab);
      const daemon = await startSluice(lab, "director", config);
      await untilEligible(lab, daemon, "web", ["10.0.1.210:8000", "10.0.1.211:8000"]);
      const firstShare = async (service: string): Promise<number> => {
        const { backends } = await serviceStatus(lab, daemon, service);
        expect(backends.every(({ load }) => load !== null)).toBe(true);
        return backends[0]!.share;
      };
      await eventually("both have reported", async () => Math.abs((await firstShare("web")) - 0.5) < 0.01, 20_000);
      const even = tally(await curlMany(lab, `http://${VIP}/`, 120));
      // 60 wanted each; six standard deviations are 33.
      expect(Math.abs(even.backend1! - 60)).toBeLessThan(33);
      const hold = await startProgram(lab, "client", "tcp-hold", "--target", `${VIP}:7`, "--connections", "40");

      say([0.95, 0]);
      for (const service of ["web", "echo"])
        await eventually(`${service} has moved`, async () => (await firstShare(service)) < 0.2, 60_000);
      const moved = tally(await curlMany(lab, `http://${VIP}/`, 120));
      // At most 24 wanted.
      expect(moved.backend1 ?? 0).toBeLessThan(50);
      expect((moved.backend1 ?? 0) + moved.backend2!).toBe(120);

      say([0, 0.95]);
      await eventually("and back, to the other side", async () => (await firstShare("web")) > 0.8, 60_000);
      expect(tally(await curlMany(lab, `http://${VIP}/`, 120)).backend1).toBeGreaterThan(70);
      await hold.stop();
      const held = JSON.parse(hold.stdout());
      expect(held).toMatchObject({ open: 40, broken: 0, wrong: 0, stalled: 0 });
      // Some of those that stayed are where hardly anybody went since.
      expect(held.backends.backend1).toBeGreaterThan(5);
    });
  },
  180_000,
);
