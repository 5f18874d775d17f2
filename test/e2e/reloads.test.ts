/**
 * Many reloads in a row under connections: none breaks, and the daemon holds no file, pin, child or change of the host of a
 * revision that is no more. Two rounds of all kinds in the suite; SLUICE_TEST_LONG=1 makes some 200 reloads, and prints what
 * it measured.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Lab } from "../../src/lab/lab.ts";
import { startProgram } from "../../src/lab/start.ts";
import { sleep } from "../../src/runtime/clock.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { configFile, eventually, type Sluice, startSluice, withLab } from "../lib/lab.ts";
import { noXdp } from "../lib/skip.ts";
import { sluice, status, untilEligible } from "../lib/status.ts";

const LONG = process.env.SLUICE_TEST_LONG === "1";
const VIP = "125.12.12.77";
const reals = ["125.12.12.20", "125.12.12.21"];
const CHECK = "check: { tcp: true, interval: 500ms, timeout: 450ms, rise: 1, fall: 3 }";

const held = (backends: string): string => `version: 1
services:
  held: { method: direct, listen: [${VIP}:7], backends: [${backends}], ${CHECK} }
  turns: { method: direct, listen: [${VIP}:8], backends: [${reals}], scheduler: round-robin, check: none }
`;
const plain = held(reals.join());
const extra = (words: string): string => `${plain}  extra: { listen: [${VIP}:80], check: none, ${words} }\n`;
const tagged = reals.map((address, i) => `{ address: ${address}, tags: [p${i}] }`).join();

/** What is in force by turns; each is another kind of change to what stands before it. */
const revisions = [
  plain,
  held(`{ address: ${reals[0]}, weight: 3 }, ${reals[1]}`),
  held(reals[0]!),
  held(reals[1]!),
  extra(`method: direct, backends: [${reals}], direct: { limits: { connections: 1000 } }`),
  extra(`method: tunnel, backends: [${reals}]`),
  extra(`method: direct, backends: [${reals}], scheduler: least-connections`),
  `${extra(`method: direct, nearest: true, backends: [${tagged}]`)}places: { p0: { networks: [202.20.20.0/24] }, p1: { networks: [10.0.0.0/8] } }\n`,
  `${plain}guard: { block: [198.51.100.0/24] }\n`,
  extra(`method: proxy, backends: [${reals[0]}:80]`).replace(`${VIP}:80`, "125.12.12.12:80"),
];

/**
 * What a process has open, by kind: numbers of sockets and the like are left out, and what programs that have ended were
 * told, which the runtime keeps until it next looks for what nobody needs.
 */
function openFiles(pid: number): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    let link = "gone";
    try {
      link = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]|\/proc\/\d+|\d{2,}/g, "");
    } catch {}
    if (!link.startsWith("/memfd:spawn_stdio_stdin")) kinds[link] = (kinds[link] ?? 0) + 1;
  }
  return kinds;
}

const memory = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) / 1024;

const children = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").filter(Boolean).map(Number);

/** What a daemon holds: files, children, pins, and what it has changed on its host. */
async function holdings(lab: Lab, daemon: Sluice, pid: number): Promise<object> {
  const bpf = instancePaths(daemon.instance).bpfDir;
  return {
    files: openFiles(pid),
    children: children(pid).length,
    pins: readdirSync(bpf, { recursive: true }).map(String).sort(),
    addresses: await lab.shell("director", "ip -o address show | sort -k2"),
    neighbours: await lab.shell("director", "ip -o neigh show | awk '{ print $1, $3, /managed/ }' | sort"),
    links: await lab.shell("director", "ip -o link show | awk '{ print $2 }'"),
  };
}

/** What several looks in a row agree on: in between a daemon asks the host this and that, by programs that it starts. */
async function quiet(look: () => Promise<object>): Promise<object> {
  for (let last = await look(), alike = 0; ; ) {
    await sleep(300);
    const next = await look();
    alike = Bun.deepEquals(next, last) ? alike + 1 : 0;
    if (alike === 5) return next;
    last = next;
  }
}

test.skipIf(noXdp !== null)(
  "reload after reload breaks no connection, and what the daemon holds afterwards is what it held before",
  async () => {
    await withLab("direct", async (lab) => {
      for (const host of ["real1", "real2"]) await startProgram(lab, host, "tcp-echo", "--name", host, "--port", "8");
      const daemon = await startSluice(lab, "director", plain);
      const { pid } = await status(lab, daemon);
      await untilEligible(lab, daemon, "held", reals);
      const hold = (port: number) =>
        startProgram(lab, "client", "tcp-hold", "--target", `${VIP}:${port}`, "--connections", "100");
      const clients = [await hold(7), await hold(8)];
      const apply = async (text: string): Promise<void> => {
        configFile(lab, "director", text);
        await sluice(lab, daemon, "reload");
      };
      const round = async (): Promise<void> => {
        for (const text of revisions) await apply(text);
        await apply(plain);
        await untilEligible(lab, daemon, "held", reals);
      };
      // What is made when it is first needed, and kept, is made here.
      await round();
      const started = await quiet(() => holdings(lab, daemon, pid));
      const [before, at] = [memory(pid), performance.now()];
      const rounds = LONG ? Math.ceil(200 / (revisions.length + 1)) : 1;
      const seen: number[] = [];
      for (let i = 0; i < rounds; i++) {
        await round();
        seen.push(Math.round(memory(pid)));
      }
      const seconds = (performance.now() - at) / 1000;
      let last: object = {};
      await eventually(
        "it is as it was",
        async () => {
          last = await holdings(lab, daemon, pid);
          return Bun.deepEquals(last, started);
        },
        60_000,
      ).catch(() => {});
      if (LONG)
        console.error(
          `${rounds * (revisions.length + 1)} reloads in ${seconds.toFixed(0)} s; MiB ${before.toFixed(0)}: ${seen}`,
        );
      expect(last).toEqual(started);
      for (const client of clients) {
        await client.stop();
        const { open, broken, wrong, stalled, backends } = JSON.parse(client.stdout());
        expect({ open, broken, wrong, stalled, backends: Object.keys(backends).length }).toEqual({
          ...{ open: 100, broken: 0, wrong: 0, stalled: 0, backends: 2 },
        });
      }
    });
  },
  900_000,
);
