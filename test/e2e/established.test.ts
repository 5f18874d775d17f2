/** What is established stays, whatever happens to the set of backends: the same story for every method that carries it. */

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { HostProcess, Lab } from "../../src/lab/lab.ts";
import { startProgram } from "../../src/lab/start.ts";
import { sleep } from "../../src/runtime/clock.ts";
import { configFile, eventually, type Sluice, startSluice, withLab } from "../lib/lab.ts";
import { noLab, noXdp } from "../lib/skip.ts";
import { sluice, untilEligible } from "../lib/status.ts";

interface Case {
  topology: string;
  method: string;
  vip: string;
  /** Ports at the VIP and at the backends. */
  port: number;
  backendPort: number;
  backends: [string, string];
  /** The hosts of `backends`. */
  hosts: [string, string];
  more: string;
  reason: string | null;
}

const inside: Pick<Case, "vip" | "backends" | "hosts"> = {
  vip: "125.12.12.12",
  backends: ["10.0.1.210", "10.0.1.211"],
  hosts: ["backend1", "backend2"],
};
const echo = { port: 7, backendPort: 7 };
const reals: Pick<Case, "hosts"> = { hosts: ["real1", "real2"] };
const cases: Record<string, Case> = {
  proxy: { topology: "proxy", method: "proxy", ...inside, port: 80, backendPort: 8000, more: "", reason: noLab },
  "nat on nftables": {
    ...{ topology: "nat", method: "nat", ...inside, ...echo },
    more: "    nat: { engine: nftables }\n",
    reason: noLab,
  },
  "nat on xdp": {
    ...{ topology: "nat", method: "nat", ...inside, ...echo },
    more: "    nat: { engine: xdp }\n",
    reason: noXdp,
  },
  direct: {
    ...{ topology: "direct", method: "direct", vip: "125.12.12.77", ...echo, ...reals, more: "", reason: noXdp },
    backends: ["125.12.12.20", "125.12.12.21"],
  },
  tunnel: {
    ...{ topology: "tunnel", method: "tunnel", vip: "125.12.12.77", ...echo, ...reals, more: "", reason: noXdp },
    backends: ["198.51.100.20", "203.0.113.21"],
  },
};

/** The service with the first `count` backends. */
const config = ({ method, vip, port, backendPort, backends, more }: Case, count: number): string => `version: 1
services:
  held:
    method: ${method}
    listen: [${vip}:${port}]
    backends: [${backends
      .slice(0, count)
      .map((address) => `${address}:${backendPort}`)
      .join(", ")}]
    check: { ${method === "proxy" ? "http: /healthz" : "tcp: true"}, interval: 300ms, timeout: 250ms, rise: 1, fall: 2 }
${more}`;

/** Connections under way. `over` ends them and says what is wrong with them. */
interface Held {
  over(): Promise<{ whole: number; backends: string[] }>;
}

/** Through a proxy: uploads without end, a number every tenth of a second, each answered with the hash of what came. */
const UPLOAD = `i=0; while [ $i -lt $1 ]; do ( j=0; until [ -e "$0/stop" ]; do printf '%064d' $j; j=$((j+1)); sleep 0.1; done |
  tee "$0/$i.sent" | curl -sS --max-time 90 -D "$0/$i.head" -T - "$2" >"$0/$i.got" ) & i=$((i+1)); done; wait`;

async function upload(lab: Lab, url: string, count: number, tag: string): Promise<Held> {
  const folder = `${lab.folder}/uploads-${tag}`;
  mkdirSync(folder);
  const client: HostProcess = await lab.spawn("client", ["sh", "-c", UPLOAD, folder, String(count), url]);
  const under = (i: number) => existsSync(`${folder}/${i}.sent`) && readFileSync(`${folder}/${i}.sent`).length > 128;
  await eventually("every upload under way", () => Array.from({ length: count }, (_, i) => under(i)).every(Boolean));
  return {
    async over() {
      writeFileSync(`${folder}/stop`, "");
      await client.gone(10_000);
      const names = new Set<string>();
      let whole = 0;
      for (let i = 0; i < count; i++) {
        const sent = createHash("sha256")
          .update(readFileSync(`${folder}/${i}.sent`))
          .digest("hex");
        const got = readFileSync(`${folder}/${i}.got`, "utf8");
        if (got !== "" && JSON.parse(got).sha256 === sent) whole++;
        else console.error(`upload ${i}: ${got} ${client.stderr()}`);
        const name = /^x-backend: *(\S+)/im.exec(readFileSync(`${folder}/${i}.head`, "utf8"))?.[1];
        if (name) names.add(name);
      }
      return { whole, backends: [...names] };
    },
  };
}

/** Through the kernel methods: connections to an echo server, every byte compared. */
async function hold(lab: Lab, target: string, count: number): Promise<Held> {
  const held = await startProgram(lab, "client", "tcp-hold", "--target", target, "--connections", String(count));
  return {
    async over() {
      await held.stop();
      const { open, broken, wrong, stalled, backends, errors } = JSON.parse(held.stdout());
      if (broken + wrong + stalled > 0) console.error(errors);
      return { whole: open - wrong - stalled, backends: Object.keys(backends) };
    },
  };
}

/** The host answers no new connection to a port; the living ones go on. */
const shut = (lab: Lab, host: string, port: number): Promise<string> =>
  lab.shell(
    host,
    `nft 'add table ip shut; add chain ip shut input { type filter hook input priority 0; };
      add rule ip shut input tcp dport ${port} tcp flags & (syn|ack) == syn drop'`,
  );

const open = (lab: Lab, of: Case, count: number, tag: string): Promise<Held> =>
  of.method === "proxy" ? upload(lab, `http://${of.vip}/hash`, count, tag) : hold(lab, `${of.vip}:${of.port}`, count);

async function apply(lab: Lab, daemon: Sluice, text: string): Promise<void> {
  configFile(lab, "director", text);
  await sluice(lab, daemon, "reload");
}

async function story(lab: Lab, of: Case): Promise<void> {
  const daemon = await startSluice(lab, "director", config(of, 1));
  const names = of.backends.map((address) => `${address}:${of.backendPort}`);
  const both = () => untilEligible(lab, daemon, "held", names);
  const first = () => untilEligible(lab, daemon, "held", names.slice(0, 1));
  await first();
  const old = await open(lab, of, 15, "old");
  // Added.
  await apply(lab, daemon, config(of, 2));
  await both();
  const young = await open(lab, of, 30, "young");
  // Drained, and ready again.
  await sluice(lab, daemon, "set", "backend", `held/${names[1]}`, "state", "drain");
  await first();
  await sleep(500);
  await sluice(lab, daemon, "set", "backend", `held/${names[1]}`, "state", "ready");
  await both();
  // Down as its check sees it, though what it serves lives; then recovered.
  await shut(lab, of.hosts[1], of.backendPort);
  await first();
  await sleep(500);
  await lab.shell(of.hosts[1], "nft delete table ip shut");
  await both();
  // Removed, and added as somebody new.
  await apply(lab, daemon, config(of, 1));
  await first();
  await sleep(500);
  await apply(lab, daemon, config(of, 2));
  await both();
  // A new generation of workers; then a reload of nothing.
  await apply(lab, daemon, `${config(of, 2)}log: { level: debug }\n`);
  await sluice(lab, daemon, "reload");
  await both();
  await sleep(500);
  expect(await old.over()).toEqual({ whole: 15, backends: [of.hosts[0]] });
  const { whole, backends } = await young.over();
  expect([whole, backends.sort()]).toEqual([30, of.hosts]);
}

for (const [name, of] of Object.entries(cases))
  test.skipIf(of.reason !== null)(
    `${name}: established connections survive added, drained, dead, recovered, removed backends and a reload`,
    () => withLab(of.topology, (lab) => story(lab, of)),
  );
