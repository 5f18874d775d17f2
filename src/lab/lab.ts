import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type Finished, type RunOptions, run } from "../runtime/child.ts";
import { sleep } from "../runtime/clock.ts";
import { buildNetwork, planLab } from "./build.ts";
import { type Capture, captureCommand, followCapture } from "./capture.ts";
import { namespaceOf, portOf, SWITCH } from "./network.ts";
import { namespacePath } from "./paths.ts";
import { isAlive, type ProcessId, signal, startDetached, waitGone } from "./processes.ts";
import { removeLab, removeLeftovers } from "./remove.ts";
import { type LabState, labFolder, loadState, saveState } from "./state.ts";
import { findTopology } from "./topologies/index.ts";
import { addressOf, hostMac, hostOf, type Topology } from "./topology.ts";

/** A program that runs in a host of a lab. It outlives the process that started it, not the lab. */
export interface HostProcess extends ProcessId {
  readonly host: string;
  stdout(): string;
  stderr(): string;
  alive(): boolean;
  signal(name: NodeJS.Signals): boolean;
  /** Waits until it is gone; false after `timeout` ms. */
  gone(timeout?: number): Promise<boolean>;
  /** SIGTERM, then SIGKILL after `grace` ms. */
  stop(grace?: number): Promise<void>;
  /** Waits until `text` is in stdout or stderr. Throws, with both, when it ends or `timeout` ms pass before. */
  says(text: string | RegExp, timeout?: number): Promise<void>;
}

/** A test network that is up. */
export class Lab {
  readonly topology: Topology;
  readonly state: LabState;
  #count = 0;
  /** It is being taken down: nothing is started any more. */
  #ending = false;
  /** Programs that are being started, and are not on record yet. */
  readonly #starting = new Set<Promise<unknown>>();

  private constructor(topology: Topology, state: LabState) {
    this.topology = topology;
    this.state = state;
    this.#count = state.processes.length;
  }

  /** Builds the network alone; programs are `startServers`'s. Throws, having removed everything, when it cannot. */
  static async build(topology: Topology, options: { name?: string } = {}): Promise<Lab> {
    await removeLeftovers();
    const state = planLab(topology, options);
    try {
      await buildNetwork(topology, state.id);
    } catch (error) {
      await removeLab(state);
      throw error;
    }
    return new Lab(topology, state);
  }

  /** A lab that is up, by name; null when there is none. */
  static open(name: string): Lab | null {
    const state = loadState(name);
    const topology = state && findTopology(state.topology);
    return topology ? new Lab(topology, state) : null;
  }

  get name(): string {
    return this.state.name;
  }

  /** Folder for logs and captures; goes with the lab. */
  get folder(): string {
    return labFolder(this.state.name);
  }

  address = (host: string, index = 0): string => addressOf(this.topology, host, index);
  mac = (host: string, index = 0): string => hostMac(this.topology, host, index);

  /** The named namespace of a host (or of the switch). */
  namespace(host: string): string {
    if (host !== SWITCH) hostOf(this.topology, host);
    return namespaceOf(this.state.id, host);
  }

  /** Runs a command in a host to its end. Throws once the lab is being taken down. */
  async exec(host: string, command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    this.mustStand();
    return run(["nsenter", `--net=${namespacePath(this.namespace(host))}`, "--", ...command], options);
  }

  /** Runs a shell line in a host; throws when it fails. Returns stdout without the last line's end. */
  async shell(host: string, line: string): Promise<string> {
    const { code, stdout, stderr } = await this.exec(host, ["sh", "-c", line]);
    if (code !== 0) throw new Error(`${host}: ${line}: exit code ${code}: ${stderr.trim()}`);
    return stdout.trimEnd();
  }

  /** Starts a program in a host; its output goes to files in `folder`. Throws once the lab is being taken down. */
  async spawn(
    host: string,
    command: readonly string[],
    options: { env?: Record<string, string>; cwd?: string } = {},
  ): Promise<HostProcess> {
    const program = command.find((word) => word.endsWith(".ts")) ?? command[0]!;
    const stem = `${this.folder}/${host}-${basename(program, ".ts")}-${process.pid}-${this.#count++}`;
    const files = { stdout: `${stem}.out`, stderr: `${stem}.err` };
    this.mustStand();
    const record = async (): Promise<ProcessId> => {
      const id = await startDetached(this.namespace(host), command, { ...files, ...options });
      this.state.processes.push({ ...id, host, command: [...command] });
      saveState(this.state);
      return id;
    };
    const start = record();
    this.#starting.add(start);
    const id = await start.finally(() => this.#starting.delete(start));
    return hostProcess(host, id, files);
  }

  /**
   * Captures at the switch's end of a host's cable: what really is on the wire, also what XDP sends or takes before
   * a tcpdump in the host would see it. `inside` captures in the host, on any device of it.
   */
  async capture(host: string, filter = "", options: { device?: string; inside?: boolean } = {}): Promise<Capture> {
    const device = options.device ?? "eth0";
    const file = `${this.folder}/${host}-${process.pid}-${this.#count}.pcap`;
    const port = options.inside ? device : portOf(host, Number(device.replace("eth", "")));
    const tcpdump = await this.spawn(options.inside ? host : SWITCH, captureCommand(port, file, filter));
    return followCapture(tcpdump, file, tcpdump.stderr);
  }

  /** Can `from` reach `address`? An answer to a TCP SYN counts, also a refusal. */
  async reaches(from: string, address: string, port = 9): Promise<boolean> {
    const { stderr, code } = await this.exec(from, ["bash", "-c", `exec 3<>/dev/tcp/${address}/${port}`], {
      timeout: 3_000,
    });
    return code === 0 || stderr.includes("refused");
  }

  /** Cuts or mends a host's cable. */
  async cable(host: string, state: "up" | "down", index = 0): Promise<void> {
    const port = portOf(host, index);
    // Asking for the link state makes the kernel tell of the carrier now, not within a second.
    await this.shell(SWITCH, `ip link set dev ${port} ${state} && ethtool ${port} >/dev/null`);
  }

  /** It is whole, and stays when this process ends, until somebody takes it down. */
  keep(): void {
    this.mustStand();
    this.state.owner = null;
    saveState(this.state);
  }

  /** Takes everything down, also what is being started meanwhile. */
  async down(): Promise<void> {
    this.#ending = true;
    await Promise.allSettled(this.#starting);
    await removeLab(this.state);
  }

  /** Throws once it is being taken down: nothing is to be started or recorded any more. */
  mustStand(): void {
    if (this.#ending) throw new Error(`lab ${this.name} is being taken down`);
  }
}

function hostProcess(host: string, id: ProcessId, files: { stdout: string; stderr: string }): HostProcess {
  const stdout = () => readFileSync(files.stdout, "utf8");
  const stderr = () => readFileSync(files.stderr, "utf8");
  const found = (text: string | RegExp) => [stdout(), stderr()].some((s) => s.search(text) >= 0);
  return {
    ...id,
    host,
    stdout,
    stderr,
    alive: () => isAlive(id),
    signal: (name) => signal(id, name),
    gone: (timeout = 10_000) => waitGone(id, timeout),
    async stop(grace = 5_000) {
      signal(id, "SIGTERM");
      if (!(await waitGone(id, grace))) signal(id, "SIGKILL");
      await waitGone(id, 2_000);
    },
    async says(text, timeout = 10_000) {
      for (const end = performance.now() + timeout; !found(text); await sleep(10)) {
        const alive = isAlive(id);
        if ((alive && performance.now() < end) || (!alive && found(text))) continue;
        throw new Error(`${host}: ${alive ? "no" : "ended without"} "${text}" in:\n${stdout()}\n${stderr()}`);
      }
    },
  };
}
