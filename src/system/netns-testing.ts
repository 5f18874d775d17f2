import { closeSync, existsSync, openSync, readdirSync } from "node:fs";
import { runSync } from "../runtime/child.ts";
import { libc } from "../runtime/libc.ts";

/**
 * Network namespaces for tests of this room: small, private, gone afterwards. The labs have their own builder.
 *
 * From the first namespace to the last the test's own thread is never in the host's: it waits in an empty one, so that
 * whatever a test that failed or timed out still does (timers, half-done work) cannot touch the host.
 */

/** <sched.h> */
const CLONE_NEWNET = 0x40000000;
/** One file's tests must not meet what those of another, in the same process, have left behind in their time-out. */
const OWN = `slt-${process.pid}-${Math.random().toString(36).slice(2, 6)}`;
const HOME = `${OWN}-home`;
let made = 0;
let open = 0;
/** Asynchronous work under way inside namespaces. */
let busy = 0;
/** Descriptor of the host's namespace while the thread is away; -1 while it is there. */
let host = -1;

export interface TestNetns {
  readonly name: string;
  /** `nsenter` in front of a command: runs in the namespace, sees the host's /sys/fs/bpf. */
  enter(...command: string[]): string[];
  /** Runs a shell line inside; throws with its stderr when it fails. */
  sh(line: string): string;
  /**
   * Runs `work` with this thread inside the namespace until it has resolved: its sockets, its /proc/sys/net and the
   * programs it starts. Work that the runtime gives to other threads (asynchronous files) stays outside.
   */
  within<T>(work: () => Promise<T> | T): Promise<T>;
  /** Only the synchronous part of `work` runs inside: enough to make a socket there. */
  inside<T>(work: () => T): T;
  /** From now on this is where the thread waits: for suites whose timers belong into one namespace. */
  stay(): void;
  remove(): void;
}

function enterPath(path: string): void {
  const fd = openSync(path, "r");
  const done = libc.setns(fd, CLONE_NEWNET);
  closeSync(fd);
  if (done !== 0) throw new Error(`cannot enter ${path}`);
}

function addNetns(name: string): void {
  const added = runSync(["ip", "netns", "add", name]);
  if (added.code !== 0) throw new Error(added.stderr);
}

/** Namespaces whose test was killed: nobody else takes them away. */
function sweepDead(): void {
  for (const name of existsSync("/run/netns") ? readdirSync("/run/netns") : []) {
    const pid = /^slt-(\d+)-/.exec(name)?.[1];
    if (pid && !existsSync(`/proc/${pid}`)) runSync(["ip", "netns", "del", name]);
  }
}

function leaveHost(): void {
  if (host >= 0) return;
  sweepDead();
  addNetns(HOME);
  host = openSync("/proc/thread-self/ns/net", "r");
  enterPath(`/run/netns/${HOME}`);
}

function returnToHost(): void {
  if (busy > 0) {
    console.error("namespaces: work is still under way; this thread does not go back to the host's");
    return;
  }
  libc.setns(host, CLONE_NEWNET);
  closeSync(host);
  host = -1;
  runSync(["ip", "netns", "del", HOME]);
}

/** Null where namespaces can be made; else the reason why not. */
export function netnsMissing(): string | null {
  if (process.getuid?.() !== 0) return "not root";
  const name = `${OWN}-probe`;
  if (runSync(["ip", "netns", "add", name]).code !== 0) return "network namespaces cannot be made here";
  runSync(["ip", "netns", "del", name]);
  return null;
}

/** Makes a namespace with its loopback up; `remove` it in afterAll. */
export function createTestNetns(hint: string): TestNetns {
  leaveHost();
  const name = `${OWN}-${made++}-${hint}`;
  const path = `/run/netns/${name}`;
  addNetns(name);
  open++;
  const enter = (...command: string[]): string[] => ["nsenter", `--net=${path}`, "--", ...command];
  const sh = (line: string): string => {
    const done = runSync(enter("sh", "-ec", line));
    if (done.code !== 0) throw new Error(`${name}: ${line}: ${done.stderr}`);
    return done.stdout;
  };
  const excursion = (): (() => void) => {
    const before = openSync("/proc/thread-self/ns/net", "r");
    enterPath(path);
    return () => {
      libc.setns(before, CLONE_NEWNET);
      closeSync(before);
    };
  };
  // A new namespace inherits the host's IPv4 settings: tests begin with the kernel's own.
  const conf = ["arp_ignore", "arp_announce", "rp_filter"].map((key) => `net.ipv4.conf.all.${key}=0`);
  sh(`ip link set lo up; sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.send_redirects=1 ${conf.join(" ")}`);
  return {
    name,
    enter,
    sh,
    async within(work) {
      const back = excursion();
      busy++;
      try {
        return await work();
      } finally {
        busy--;
        back();
      }
    },
    inside(work) {
      const back = excursion();
      try {
        return work();
      } finally {
        back();
      }
    },
    stay: () => enterPath(path),
    remove() {
      runSync(["ip", "netns", "del", name]);
      open--;
      if (open === 0) returnToHost();
    },
  };
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

/** Two namespaces with a cable between their `eth0`: 10.9.0.1 and 10.9.0.2. */
export function linkedPair(): { a: TestNetns; b: TestNetns; remove(): void } {
  const [a, b] = [createTestNetns("a"), createTestNetns("b")];
  wire(a, "eth0", "10.9.0.1/24", b, "eth0", "10.9.0.2/24");
  return {
    a,
    b,
    remove() {
      a.remove();
      b.remove();
    },
  };
}
