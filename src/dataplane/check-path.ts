import { isIPv6 } from "../core/address.ts";
import { SluiceError } from "../core/problem.ts";
import { run } from "../runtime/child.ts";
import { errnoText } from "../runtime/libc.ts";
import { bpfError, linkXdp } from "../system/libbpf.ts";
import { macText } from "../system/net.ts";
import { objectPath } from "./build.ts";
import { checkPair } from "./check-pair.ts";
import { ControlFlag, control } from "./generated/layout.ts";
import { elementBytes, setWord } from "./memory.ts";
import type { Plane } from "./plane.ts";
import { devices } from "./routes.ts";

/** The path that probes of a VIP take into the plane and back. */
export interface CheckPath {
  /** The director's end of the veth pair. */
  device: string;
  /** Gives the checker the director's addresses towards backends that have come since. */
  follow(): Promise<void>;
  /** Removes the pair. It also goes by itself with the checker's namespace. */
  close(): Promise<void>;
}

/** Link-local (RFC 3927): the inner end's gateway, which nobody else ever sees. */
const GATEWAY = "169.254.61.1";
const GATEWAY6 = "fe80::5ce1";

async function must(command: readonly string[], input?: string): Promise<void> {
  const done = await run(command, input === undefined ? {} : { input });
  if (done.code === 0) return;
  const message = `${command.join(" ")}: ${done.stderr.trim()}`;
  throw new SluiceError({ code: "SLUICE_HOST_COMMAND", severity: "error", source: "kernel", path: [], message });
}

/** The director's own addresses towards its backends. */
const sourcesOf = (plane: Plane): string[] => [
  ...new Set([...plane.ways.routes.values()].filter((r) => !r.local && r.source).map((r) => r.source)),
];

/**
 * Joins the network namespace of the checker `pid` to the plane. The checker's packets carry the director's own address
 * and a source port that names the backend; `check_entry` on our end forwards them like a client's, and the main program
 * sends the answers back in. Each end's transmit checksum offload is off: XDP would send half-made checksums on.
 * Throws SluiceError.
 */
export async function createCheckPath(plane: Plane, checker: { pid: number }): Promise<CheckPath> {
  const { outer, inner } = checkPair(plane.kernel.pins.root);
  const inside = ["nsenter", `--net=/proc/${checker.pid}/ns/net`];
  await run(["ip", "link", "del", outer]);
  await must(["ip", "link", "add", outer, "type", "veth", "peer", "name", inner]);
  await must(["ip", "link", "set", outer, "up"]);
  const macs = await devices();
  const ends = { outer: macs.get(outer)!, inner: macs.get(inner)! };
  await must(["ethtool", "-K", outer, "tx", "off"]);
  await must(["ethtool", "-K", inner, "tx", "off"]);
  await must(["ip", "link", "set", inner, "netns", String(checker.pid)]);
  const held = new Set<string>();
  const addSources = (): string[] =>
    sourcesOf(plane)
      .filter((address) => !held.has(address))
      .map((address) => {
        held.add(address);
        const rest = isIPv6(address) ? `128 dev ${inner} nodad` : `32 dev ${inner}`;
        return `address add ${address}/${rest}`;
      });
  const batch = [
    "link set lo up",
    `link set ${inner} up`,
    ...addSources(),
    `neigh replace ${GATEWAY} dev ${inner} lladdr ${macText(ends.outer.mac)} nud permanent`,
    `route replace default via ${GATEWAY} dev ${inner} onlink`,
    `neigh replace ${GATEWAY6} dev ${inner} lladdr ${macText(ends.outer.mac)} nud permanent`,
    `route replace default via ${GATEWAY6} dev ${inner}`,
  ];
  await must([...inside, "ip", "-batch", "-"], `${batch.join("\n")}\n`);
  // A veth takes redirected frames only while its other end runs a native program.
  await must([...inside, "ip", "link", "set", "dev", inner, "xdpdrv", "obj", objectPath("pass"), "sec", "xdp"]);
  // A probe's port comes round again soon: its last connection must not linger. The namespace is ours alone.
  await must([...inside, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets"]);
  const link = linkXdp(plane.kernel.programFd("check_entry"), ends.outer.index, "native");
  if (link < 0) throw bpfError("SLUICE_BPF_ATTACH", `check path ${outer}: ${errnoText(-link)}`);
  plane.ways.writeDevice(ends.outer.index, ends.outer.mac);
  const words = elementBytes(plane.memory.control_words, 0);
  words.set(ends.inner.mac, control.checkInnerMac);
  words.set(ends.outer.mac, control.checkOuterMac);
  setWord(plane.memory.control_words, 0, control.checkIfindex, ends.outer.index);
  plane.kernel.setFlag(ControlFlag.CONTROL_CHECKS, true);
  return {
    device: outer,
    follow: async () => {
      const lines = addSources();
      if (lines.length > 0) await run([...inside, "ip", "-force", "-batch", "-"], { input: `${lines.join("\n")}\n` });
    },
    close: async () => {
      plane.kernel.setFlag(ControlFlag.CONTROL_CHECKS, false);
      await run(["ip", "link", "del", outer]);
    },
  };
}
