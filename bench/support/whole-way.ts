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

/**
 * ns of a CPU per packet of what the rig is loaded with, the best of some rounds. Throws when packets do not arrive, or
 * when the director does not send them on. `step`: packets sent without a pause; slow machines lose what a ring cannot hold.
 */
export function cpuPerPacket(rig: Rig, flows: number, seconds: number, packets = LONG, step = LONG): number {
  const rounds: number[] = [];
  const send = (count: number): void => {
    for (let left = count; left > 0; left -= step) rig.send(Math.min(left, step));
  };
  send(Math.max(packets, flows));
  const before = rig.traffic();
  const end = performance.now() + seconds * 1000;
  while (rounds.length < 3 || performance.now() < end) {
    const begun = cpuTime();
    send(packets);
    rounds.push((cpuTime() - begun) / packets);
  }
  const after = rig.traffic();
  const [received, sent] = [after.received - before.received, after.sent - before.sent];
  if (received < rounds.length * packets * 0.95) throw new Error("packets were lost on the way");
  if (sent < received * 0.95) throw new Error(`the director sent ${sent} of ${received} packets on`);
  return Math.min(...rounds);
}
