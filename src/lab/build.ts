import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { run } from "../runtime/child.ts";
import {
  cableCommands,
  checkTopology,
  hostCommands,
  namespaceOf,
  portOf,
  SWITCH,
  switchCommands,
  sysctlsOf,
} from "./network.ts";
import { passProgram } from "./pass-program.ts";
import { namespacePath } from "./paths.ts";
import { identify } from "./processes.ts";
import { createState, type LabState } from "./state.ts";
import type { Host, Topology } from "./topology.ts";

/** Four characters that no other lab on this machine has. */
function freshId(topology: Topology): string {
  for (;;) {
    const id = randomInt(36 ** 4)
      .toString(36)
      .padStart(4, "0");
    if (!existsSync(namespacePath(namespaceOf(id, topology.hosts[0]!.name)))) return id;
  }
}

/** Records the lab, as this process's, before anything of it exists. Throws when the name is taken. */
export function planLab(topology: Topology, options: { name?: string }): LabState {
  const wrong = checkTopology(topology);
  if (wrong.length > 0) throw new Error(`topology ${topology.name}: ${wrong.join("; ")}`);
  const id = freshId(topology);
  const name = options.name ?? `${topology.name}-${id}`;
  const state: LabState = {
    name,
    topology: topology.name,
    id,
    owner: identify(process.pid),
    namespaces: [SWITCH, ...topology.hosts.map((h) => h.name)].map((host) => namespaceOf(id, host)),
    processes: [],
    instances: {},
  };
  if (!createState(state)) throw new Error(`a lab called ${name} is up already`);
  return state;
}

/** Makes namespaces, cables, bridges, addresses and routes. Throws with the words of the program that failed. */
export async function buildNetwork(topology: Topology, id: string): Promise<void> {
  const pass = topology.hosts.some((h) => h.xdp) ? await passProgram() : null;
  await must(run(["ip", "-batch", "-"], { input: cableCommands(topology, id) }), "cables");
  await inNamespace(id, SWITCH, switchScript(topology, pass));
  await Promise.all(topology.hosts.map((host) => inNamespace(id, host.name, hostScript(topology, host))));
  await inNamespace(id, SWITCH, ports(topology).map(noticeCarrier).join("\n"));
}

const batch = (commands: string): string => `ip -batch - <<'END'\n${commands}\nEND`;

const ports = (topology: Topology): string[] =>
  topology.hosts.flatMap((host) => host.interfaces.map((_, i) => portOf(host.name, i)));

/**
 * A carrier that comes up is told to the queue of an interface and to its bridge up to a second later (linkwatch), and
 * until then packets are dropped. Asking for the link state makes the kernel tell now.
 */
const noticeCarrier = (device: string): string => `ethtool ${device} >/dev/null`;

/**
 * The captures are made at the switch's ports; GRO would show there packets that never were on the wire.
 * Attaching XDP switches GRO on, so this comes after it.
 */
const switchScript = (topology: Topology, pass: string | null): string =>
  [batch(switchCommands(topology, pass)), ...ports(topology).map((port) => `ethtool -K ${port} gro off tx off`)].join(
    "\n",
  );

/** An unfinished checksum is lost when a frame becomes an XDP frame, so every host finishes its own (tx off). */
const hostScript = (topology: Topology, host: Host): string =>
  [
    ...Object.entries(sysctlsOf(host)).map(
      ([key, value]) => `echo ${value} > /proc/sys/${key.replaceAll(".", "/")} || exit`,
    ),
    batch(hostCommands(topology, host)),
    ...host.interfaces.map((_, i) => `ethtool -K eth${i} tx off\n${noticeCarrier(`eth${i}`)}`),
  ].join("\n");

const inNamespace = (id: string, host: string, script: string): Promise<void> =>
  must(run(["nsenter", `--net=${namespacePath(namespaceOf(id, host))}`, "sh", "-ec", script]), host);

async function must(running: ReturnType<typeof run>, what: string): Promise<void> {
  const { code, stdout, stderr } = await running;
  if (code !== 0) throw new Error(`lab: ${what}: ${(stderr || stdout).trim() || `exit code ${code}`}`);
}
