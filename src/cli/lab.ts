import { type Command, InvalidArgumentError } from "commander";
import { Lab } from "../lab/lab.ts";
import { namespacePath } from "../lab/paths.ts";
import { peer, peerCommands } from "../lab/peers.ts";
import { removeByName, removeLeftovers } from "../lab/remove.ts";
import { prepareRealServers, startDirectors, startServers } from "../lab/start.ts";
import { isOrphan, listStates } from "../lab/state.ts";
import { findTopology, topologies } from "../lab/topologies/index.ts";
import type { Topology } from "../lab/topology.ts";
import { foreground } from "../runtime/foreground.ts";
import { EXIT } from "./exit.ts";

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** `sluice lab`: test networks of network namespaces on this machine. */
export function registerLab(program: Command): void {
  // Options after the host belong to the command that `exec` runs: no command above it may look for its own there.
  const lab = program
    .enablePositionalOptions()
    .command("lab")
    .description("build the article's networks on this machine and try the methods in them")
    .enablePositionalOptions();
  lab
    .command("list")
    .description("list the topologies, and the labs that are up")
    .option("--json", "as JSON (sluice.labs/v1)")
    .action(list);
  lab
    .command("up")
    .description("build a topology, start its servers and Sluice in it, and say how to try it")
    .argument("<topology>", `one of: ${topologies.map((t) => t.name).join(", ")}`, toTopology)
    .option("--name <name>", "name of this lab (default: the topology's)", labName)
    .option("--network-only", "hosts and cables alone: no servers, no Sluice")
    .option("--json", "as JSON (sluice.lab/v1)")
    .action(up);
  lab
    .command("down")
    .description("remove labs: their processes, namespaces, pins and files")
    .argument("[names...]", "labs to remove", (name: string, before: string[] = []) => [...before, labName(name)])
    .option("--all", "every lab that stays until it is removed, and every one whose builder died")
    .option("--json", "as JSON (sluice.labs-removed/v1)")
    .action(down);
  lab
    .command("exec")
    .description("run a command in a host of a lab; without one, a shell")
    .argument("<name>", "the lab", labName)
    .argument("<host>", "the host in it")
    .argument("[command...]", "the command and its arguments")
    .passThroughOptions()
    .action(exec);
}

/** It becomes part of paths. */
function labName(name: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,40}$/.test(name)) return name;
  throw new InvalidArgumentError("It is small letters, digits and dashes, at most 41.");
}

function toTopology(name: string): Topology {
  const topology = findTopology(name);
  if (!topology)
    throw new InvalidArgumentError(`No such topology. One of: ${topologies.map((t) => t.name).join(", ")}.`);
  return topology;
}

/** 4: refused by the kernel (no rights, no namespaces). */
function refused(error: unknown): void {
  say(`sluice: ${error instanceof Error ? error.message : error}`);
  if (process.getuid?.() !== 0) say("  root is needed, to make network namespaces and what is in them");
  process.exitCode = EXIT.kernel;
}

const addresses = (topology: Topology, index: number): string =>
  topology.hosts[index]!.interfaces.flatMap((i) => i.addresses).join(", ");

function list(options: { json?: boolean }): void {
  const running = listStates().map((state) => ({
    name: state.name,
    topology: state.topology,
    namespaces: state.namespaces,
    processes: state.processes.length,
    orphan: isOrphan(state),
  }));
  if (options.json) {
    const known = topologies.map(({ name, summary }) => ({ name, summary }));
    print(JSON.stringify({ schema: "sluice.labs/v1", topologies: known, labs: running }, null, 2));
    return;
  }
  for (const { name, summary } of topologies) print(`${name.padEnd(13)} ${summary}`);
  for (const lab of running)
    print(
      `up: ${lab.name} (${lab.topology}), ${lab.namespaces.length} namespaces${lab.orphan ? ", left by a process that died" : ""}`,
    );
}

const freeName = (topology: string): string => {
  const taken = new Set(listStates().map((state) => state.name));
  for (let i = 1; ; i++) {
    const name = i === 1 ? topology : `${topology}-${i}`;
    if (!taken.has(name)) return name;
  }
};

async function up(
  topology: Topology,
  options: { name?: string; networkOnly?: boolean; json?: boolean },
): Promise<void> {
  const building = Lab.build(topology, { name: options.name ?? freeName(topology.name) });
  const interrupted = downOnSignal(building);
  let lab: Lab | undefined;
  try {
    lab = await building;
    say(`network up: ${topology.hosts.length} hosts`);
    if (!options.networkOnly) {
      await Promise.all([startServers(lab), ...(topology.peers ?? []).map(peer)]);
      say("servers up");
      await prepareRealServers(lab);
      await startDirectors(lab);
      say("sluice up");
    }
    lab.keep();
  } catch (error) {
    if (interrupted()) return;
    await lab?.down();
    refused(error);
    return;
  }
  if (options.json) print(JSON.stringify(described(lab), null, 2));
  else for (const line of upText(lab)) print(line);
}

/** A signal while a lab is being built takes it down and ends the process; says whether one has come. */
function downOnSignal(building: Promise<Lab>): () => boolean {
  let come = false;
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.once(signal, () => {
      if (come) return;
      come = true;
      say("sluice: taking the lab down");
      void building
        .then((lab) => lab.down())
        .catch(() => {})
        .finally(() => process.exit(code));
    });
  return () => come;
}

const described = (lab: Lab) => ({
  schema: "sluice.lab/v1",
  name: lab.name,
  topology: lab.topology.name,
  folder: lab.folder,
  hosts: lab.topology.hosts.map((host) => ({
    name: host.name,
    role: host.role,
    namespace: lab.namespace(host.name),
    addresses: host.interfaces.flatMap((i) => i.addresses),
    instance: lab.state.instances[host.name] ?? null,
  })),
  tries: lab.topology.tries,
});

/** The instances of the lab's directors. */
const directors = ({ topology, state }: Lab): string[] =>
  topology.hosts.flatMap(({ name, role }) => (role === "director" ? (state.instances[name] ?? []) : []));

function upText(lab: Lab): string[] {
  const { topology, name } = lab;
  return [
    `${name}: ${topology.summary}`,
    ...topology.hosts.map((host, i) => `  ${host.name.padEnd(10)} ${host.role.padEnd(9)} ${addresses(topology, i)}`),
    "try:",
    ...topology.tries.map(({ host, command }) => `  sluice lab exec ${name} ${host} -- ${command}`),
    ...directors(lab).map((instance) => `  sluice status --instance ${instance}`),
    `remove: sluice lab down ${name}`,
  ];
}

async function down(names: string[], options: { all?: boolean; json?: boolean }): Promise<void> {
  try {
    const removed = options.all ? await removeLeftovers({ kept: true }) : [];
    if (names.length === 0 && !options.all) {
      say("sluice: name the labs to remove, or say --all");
      process.exitCode = EXIT.usage;
      return;
    }
    for (const name of names)
      if (await removeByName(name)) removed.push(name);
      else if (!removed.includes(name)) {
        say(
          `sluice: no lab is called ${name}; up: ${
            listStates()
              .map((s) => s.name)
              .join(", ") || "none"
          }`,
        );
        process.exitCode = EXIT.usage;
      }
    if (options.json) print(JSON.stringify({ schema: "sluice.labs-removed/v1", removed }));
    else for (const name of removed) say(`removed ${name}`);
  } catch (error) {
    refused(error);
  }
}

async function exec(name: string, host: string, command: string[]): Promise<void> {
  const lab = Lab.open(name);
  const known = lab?.topology.hosts.map((h) => h.name) ?? [];
  if (!lab || !known.includes(host)) {
    const labs = listStates().map((s) => s.name);
    say(
      lab
        ? `sluice: no host ${host} in ${name}; one of: ${known.join(", ")}`
        : `sluice: no lab is called ${name}; up: ${labs.join(", ") || "none"}`,
    );
    process.exitCode = EXIT.usage;
    return;
  }
  // Options pass without a `--` before them; who writes one means no part of the command.
  const words = command[0] === "--" ? command.slice(1) : command;
  const inHost = words.length > 0 ? words : [process.env.SHELL ?? "sh"];
  const namespace = namespacePath(lab.namespace(host));
  process.exitCode = await foreground(["nsenter", `--net=${namespace}`, "--", ...inHost], {
    PATH: `${process.env.PATH}:${peerCommands()}`,
  });
}
