/** What a packet costs all the way: making it, carrying it both ways, and what the director does between. */
import { readdirSync, readFileSync } from "node:fs";
import type { Rig } from "./packet-rig.ts";

/** Packets of a round whose CPU time is taken from outside: setting a run up costs a millisecond. */
const LONG = 100_000;

const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/comm`, "latin1");
  } catch {
    return "";
  }
};

const SOFTIRQ_THREADS = readdirSync("/proc").filter(
  (pid) => /^\d+$/.test(pid) && commandOf(pid).startsWith("ksoftirqd/"),
);

/** ns that this process and the kernel's softirq threads have been on a CPU: where they hand work to each other, both count. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  let ns = (user + system) * 1000;
  for (const pid of SOFTIRQ_THREADS) ns += Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ")[0]);
  return ns;
}

export interface WholeWay {
  /** ns of a CPU per packet. */
  cpu: number;
  /** Packets a second that came through, by the clock. */
  reached: number;
}

/**
 * What the rig is loaded with, the best of some rounds. Throws when packets do not arrive, or when the director does not send
 * them on (`kept`: it is not meant to). `step`: packets sent without a pause; slow machines lose what a ring cannot hold.
 */
export function wholeWay(
  rig: Rig,
  flows: number,
  seconds: number,
  { packets = LONG, step = LONG, kept = false } = {},
): WholeWay {
  const best: WholeWay = { cpu: Number.POSITIVE_INFINITY, reached: 0 };
  const send = (count: number): void => {
    for (let left = count; left > 0; left -= step) rig.send(Math.min(left, step));
  };
  send(Math.max(packets, flows));
  const before = rig.traffic();
  const end = performance.now() + seconds * 1000;
  let rounds = 0;
  for (; rounds < 3 || performance.now() < end; rounds++) {
    const [used, begun] = [cpuTime(), Bun.nanoseconds()];
    send(packets);
    best.reached = Math.max(best.reached, (packets * 1e9) / (Bun.nanoseconds() - begun));
    best.cpu = Math.min(best.cpu, (cpuTime() - used) / packets);
  }
  const after = rig.traffic();
  const [received, sent] = [after.received - before.received, after.sent - before.sent];
  if (received < rounds * packets * 0.95) throw new Error("packets were lost on the way");
  if (!kept && sent < received * 0.95) throw new Error(`the director sent ${sent} of ${received} packets on`);
  return best;
}
