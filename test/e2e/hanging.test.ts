/** A backend that says nothing any more, by a stopped process and by a cut cable: avoided in time, taken back after. */
import { expect, test } from "bun:test";
import { countLosses, readLoad } from "../../src/lab/demo/losses.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { signal } from "../../src/lab/processes.ts";
import { startProgram } from "../../src/lab/start.ts";
import { ADDRESSES } from "../../src/lab/topologies/dns.ts";
import { sleep } from "../../src/runtime/clock.ts";
import { eventually, type Sluice, startSluice, withLab } from "../lib/lab.ts";
import { noLab, noXdp } from "../lib/skip.ts";
import { untilEligible } from "../lib/status.ts";

const INTERVAL = 400;
const FALL = 2;
const TTL = 1000;
/** ms a client of the lab waits for an answer. */
const PATIENCE = 1000;

interface Case {
  method: string;
  topology: string;
  listen: string;
  backends: readonly string[];
  /** The host that falls silent: the first backend's. */
  host: string;
  more?: string;
  /** What `http-load` needs. */
  load: string[];
  reason: string | null;
}

const vip = (address: string): Pick<Case, "listen" | "load"> => ({
  listen: `listen: [${address}:80]`,
  load: ["--url", `http://${address}/`],
});
const inside = { backends: ["10.0.1.210:8000", "10.0.1.211:8000"], host: "backend1" };
const cases: Record<string, Case> = {
  redirect: {
    ...{ method: "redirect", topology: "redirect", ...vip("192.30.252.130"), reason: noLab, host: "backend1" },
    backends: ["192.30.252.147:80", "192.30.252.148:80"],
    load: ["--url", "http://192.30.252.130/", "--follow"],
  },
  dns: {
    ...{ method: "dns", topology: "dns", listen: "names: [www.example.com]", reason: noLab, host: "backend1" },
    backends: ADDRESSES.slice(0, 2).map((address) => `${address}:80`),
    load: ["--url", "http://www.example.com/", "--resolve", "125.12.12.53"],
    more: `    dns: { ttl: ${TTL}ms }\ndns: { listen: [125.12.12.53:53] }\n`,
  },
  proxy: { method: "proxy", topology: "proxy", ...vip("125.12.12.12"), ...inside, reason: noLab },
  "nat on nftables": {
    ...{ method: "nat", topology: "nat", ...vip("125.12.12.12"), ...inside, reason: noLab },
    more: "    nat: { engine: nftables }\n",
  },
  "nat on xdp": {
    ...{ method: "nat", topology: "nat", ...vip("125.12.12.12"), ...inside, reason: noXdp },
    more: "    nat: { engine: xdp }\n",
  },
  direct: {
    ...{ method: "direct", topology: "direct", ...vip("125.12.12.77"), reason: noXdp, host: "real1" },
    backends: ["125.12.12.20", "125.12.12.21"],
  },
  tunnel: {
    ...{ method: "tunnel", topology: "tunnel", ...vip("125.12.12.77"), reason: noXdp, host: "real1" },
    backends: ["198.51.100.20", "203.0.113.21"],
  },
};

const config = ({ method, listen, backends, more = "" }: Case): string => `version: 1
services:
  web:
    method: ${method}
    ${listen}
    backends: [${backends.join(", ")}]
    check: { http: /healthz, interval: ${INTERVAL}ms, rise: 1, fall: ${FALL} }
${more}`;

const nowMs = (): number => performance.timeOrigin + performance.now();

/** What the host's HTTP server is sent. */
function tellServer(lab: Lab, host: string, name: "SIGSTOP" | "SIGCONT"): void {
  for (const process_ of lab.state.processes)
    if (process_.host === host && process_.command.some((word) => word.endsWith("http-backend.ts")))
      signal(process_, name);
}

/** Breaks, waits until it is avoided, mends, waits until it is used again: while clients ask all the time. */
async function fall(lab: Lab, daemon: Sluice, of: Case, tag: string, broken: (yes: boolean) => Promise<void>) {
  const allowed = INTERVAL * FALL + 1000 + (of.method === "dns" ? TTL : 0);
  const log = `${lab.folder}/${tag}.log`;
  const how = ["--rate", "40", "--timeout", String(PATIENCE), "--log", log];
  const load = await startProgram(lab, "client", "http-load", ...of.load, ...how);
  await sleep(300);
  await broken(true);
  const death = nowMs();
  await untilEligible(lab, daemon, "web", of.backends.slice(1));
  await sleep(Math.max(0, death + allowed + 500 - nowMs()));
  const asked = nowMs();
  await broken(false);
  await untilEligible(lab, daemon, "web", of.backends);
  const again = () => readLoad([log]).some(({ at, backend }) => at > asked && backend === of.host);
  await eventually(`${of.host} is used again`, again);
  await load.stop();
  const before = readLoad([log]).filter(({ at }) => at < asked);
  const losses = countLosses(before, death, allowed);
  expect([tag, losses.lostBefore, losses.lostLate]).toEqual([tag, 0, 0]);
  expect(losses.sentLate).toBeGreaterThan(5);
}

for (const [name, of] of Object.entries(cases))
  test.skipIf(of.reason !== null)(
    `${name}: a stopped process and a cut cable are avoided in interval x fall + 1 s, and taken back`,
    async () => {
      await withLab(of.topology, async (lab) => {
        const daemon = await startSluice(lab, "director", config(of));
        await untilEligible(lab, daemon, "web", of.backends);
        await fall(lab, daemon, of, "stopped", async (yes) => tellServer(lab, of.host, yes ? "SIGSTOP" : "SIGCONT"));
        await fall(lab, daemon, of, "cut", (yes) => lab.cable(of.host, yes ? "down" : "up"));
      });
    },
  );
