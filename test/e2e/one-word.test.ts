/** One file, one daemon: only the method's word changes, and a request is served each time. */
import { expect, test } from "bun:test";
import type { Lab } from "../../src/lab/lab.ts";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { recordInstance, startProgram } from "../../src/lab/start.ts";
import { configFile, startSluice, withLab } from "../lib/lab.ts";
import { noXdp } from "../lib/skip.ts";
import { serviceStatus, sluice, untilEligible } from "../lib/status.ts";

const VIP = "125.12.12.77";
const NAME = "www.example.com";
/** A name over the service's address, whatever stands behind that. */
const OVER = "over.example.com";
const backends = ["125.12.12.20:80", "125.12.12.21:80"];

const config = (method: string): string => `version: 1
services:
  web:
    method: ${method}
    listen: [${VIP}:80]
    names: [${NAME}]
    backends: [${backends.join(", ")}]
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
    dns: { ttl: 1s }
    nat: { engine: nftables, masquerade: true }
${method === "dns" ? "" : `  names: { method: dns, names: [${OVER}], backends: ["service:web"], dns: { ttl: 1s } }\n`}\
dns: { listen: [125.12.12.12:53] }
`;

/** Forty requests of a client that follows redirects, or asks for the name: how many were answered, and by whom. */
async function served(lab: Lab, name: string | null): Promise<{ ok: number; backends: string[] }> {
  const url = `http://${name ?? VIP}/`;
  const how = [
    ...(name === null ? [] : ["--resolve", "125.12.12.12"]),
    ...(name === NAME ? [] : ["--follow", "--host", NAME]),
  ];
  const load = await startProgram(lab, "client", "http-load", "--url", url, ...how, "--count", "40", "--rate", "40");
  await load.gone();
  const { ok, backends } = JSON.parse(load.stdout());
  return { ok, backends: Object.keys(backends).sort() };
}

test.skipIf(noXdp !== null)("the method is one word: the same file serves under all six", async () => {
  await withLab("direct", async (lab) => {
    // Where the director ends connections itself the address must be its own.
    await lab.shell("director", `ip address add ${VIP}/32 dev eth0`);
    for (const host of ["real1", "real2"]) {
      const instance = recordInstance(lab, `${host}-tunnel`, host);
      const command = [sluiceCommand, "realserver", "up", "--method", "tunnel", "--vip", VIP, "--device", "eth0"];
      const up = await lab.exec(host, [...command, "--instance", instance]);
      expect([up.code, up.stderr]).toEqual([0, expect.any(String)]);
    }
    const daemon = await startSluice(lab, "director", config("redirect"));
    for (const method of ["redirect", "dns", "proxy", "nat", "direct", "tunnel", "redirect"]) {
      configFile(lab, "director", config(method));
      await sluice(lab, daemon, "reload");
      await untilEligible(lab, daemon, "web", backends);
      expect([method, (await serviceStatus(lab, daemon, "web")).method]).toEqual([method, method]);
      const { ok, backends: names } = await served(lab, method === "dns" ? NAME : null);
      expect([method, ok]).toEqual([method, 40]);
      // A client keeps an answer for its TTL, so it need not meet both.
      if (method === "dns") continue;
      expect([method, names]).toEqual([method, ["real1", "real2"]]);
      // The same by a name that DNS leads to this service.
      await untilEligible(lab, daemon, "names", [`${VIP}:80`]);
      expect([method, await served(lab, OVER)]).toEqual([method, { ok: 40, backends: ["real1", "real2"] }]);
    }
  });
});
