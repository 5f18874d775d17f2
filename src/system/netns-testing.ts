import { closeSync, openSync } from "node:fs";
import { run, runSync } from "../runtime/child.ts";
import { libc } from "../runtime/libc.ts";

/** Network namespaces for tests of this room: small, private, gone afterwards. The labs have their own builder. */

/** <sched.h> */
const CLONE_NEWNET = 0x40000000;
let made = 0;

export interface TestNetns {
  readonly name: string;
  /** `nsenter` in front of a command: runs in the namespace, sees the host's /sys/fs/bpf. */
  enter(...command: string[]): string[];
  /** Runs a shell line inside; throws with its stderr when it fails. */
  sh(line: string): string;
  /**
   * Runs `work` with this thread inside the namespace: its sockets, its /proc/sys/net and the programs it starts.
   * Work that the runtime gives to other threads (asynchronous files) stays outside.
   */
  within<T>(work: () => Promise<T> | T): Promise<T>;
  remove(): void;
}

/** Null where namespaces can be made; else the reason why not. */
export function netnsMissing(): string | null {
  if (process.getuid?.() !== 0) return "not root";
  const name = `slt-${process.pid}-probe`;
  if (runSync(["ip", "netns", "add", name]).code !== 0) return "network namespaces cannot be made here";
  runSync(["ip", "netns", "del", name]);
  return null;
}

/** Makes a namespace with its loopback up; `remove` it in afterAll. */
export function createTestNetns(hint: string): TestNetns {
  const name = `slt-${process.pid}-${made++}-${hint}`;
  const path = `/run/netns/${name}`;
  const added = runSync(["ip", "netns", "add", name]);
  if (added.code !== 0) throw new Error(added.stderr);
  const enter = (...command: string[]): string[] => ["nsenter", `--net=${path}`, "--", ...command];
  const netns: TestNetns = {
    name,
    enter,
    sh(line) {
      const done = runSync(enter("sh", "-ec", line));
      if (done.code !== 0) throw new Error(`${name}: ${line}: ${done.stderr}`);
      return done.stdout;
    },
    async within(work) {
      const home = openSync("/proc/thread-self/ns/net", "r");
      const there = openSync(path, "r");
      try {
        if (libc.setns(there, CLONE_NEWNET) !== 0) throw new Error(`cannot enter ${name}`);
        return await work();
      } finally {
        libc.setns(home, CLONE_NEWNET);
        closeSync(home);
        closeSync(there);
      }
    },
    remove() {
      runSync(["ip", "netns", "del", name]);
    },
  };
  netns.sh("ip link set lo up");
  return netns;
}

/** A veth pair between two namespaces, addresses given, both up, without the offloads that veth only pretends. */
export function wire(
  a: TestNetns,
  aDevice: string,
  aAddress: string,
  b: TestNetns,
  bDevice: string,
  bAddress: string,
): void {
  const done = runSync([
    "ip",
    "link",
    "add",
    aDevice,
    "netns",
    a.name,
    "type",
    "veth",
    "peer",
    "name",
    bDevice,
    "netns",
    b.name,
  ]);
  if (done.code !== 0) throw new Error(done.stderr);
  for (const [netns, device, address] of [
    [a, aDevice, aAddress],
    [b, bDevice, bAddress],
  ] as const) {
    if (address) netns.sh(`ip address add ${address} dev ${device}`);
    netns.sh(`ip link set ${device} up`);
  }
}

/** Waits until `test` holds, at most `ms`. */
export async function eventually(test: () => boolean | Promise<boolean>, ms = 5000): Promise<boolean> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    if (await test()) return true;
    await new Promise((done) => setTimeout(done, 30));
  }
  return test();
}

/** `run` inside a namespace. */
export const runIn = (netns: TestNetns, command: string[], timeout = 10_000) =>
  run(netns.enter(...command), { timeout });
