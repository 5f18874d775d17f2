import { resolve } from "node:path";
import type { HostProcess, Lab } from "./lab.ts";
import { projectDir, sluiceCommand } from "./paths.ts";
import { saveState } from "./state.ts";
import type { Host } from "./topology.ts";

/** The command line of one of the lab's programs. */
export const programCommand = (program: string, ...args: string[]): string[] => [
  ...[process.execPath, "--no-env-file", resolve(import.meta.dirname, `programs/${program}.ts`)],
  ...args,
];

/** Starts a program of the lab in a host and waits until it is ready. Throws with its words when it ends instead. */
export async function startProgram(lab: Lab, host: string, program: string, ...args: string[]): Promise<HostProcess> {
  const started = await lab.spawn(host, programCommand(program, ...args));
  await started.says("ready:");
  return started;
}

/** Path of the access log of a host's HTTP server. */
export const accessLog = (lab: Lab, host: string): string => `${lab.folder}/${host}-access.log`;

/** Starts the servers that the topology gives to its hosts. */
export async function startServers(lab: Lab): Promise<HostProcess[]> {
  const starts = lab.topology.hosts.flatMap((host) =>
    (host.programs ?? []).map(({ program, args }) => {
      const log = program === "http-backend" ? ["--log", accessLog(lab, host.name)] : [];
      return startProgram(lab, host.name, program, "--name", host.name, ...args, ...log);
    }),
  );
  return Promise.all(starts);
}

/** `sluice realserver up` on every host that the topology prepares. Throws with its words when one cannot be. */
export async function prepareRealServers(lab: Lab): Promise<void> {
  await Promise.all(lab.topology.hosts.filter((h) => h.realServer).map((host) => prepareRealServer(lab, host)));
}

async function prepareRealServer(lab: Lab, host: Host): Promise<void> {
  const { method, vips } = host.realServer!;
  const command = [sluiceCommand, "realserver", "up", "--method", method, "--vip", vips.join(","), "--device", "eth0"];
  const instance = recordInstance(lab, `${host.name}-real`, host.name);
  const { code, stdout, stderr } = await lab.exec(host.name, [...command, "--instance", instance]);
  if (code !== 0) throw new Error(`${host.name}: sluice realserver up: exit code ${code}: ${stderr || stdout}`);
}

/** The name of a host's instance of the product; recorded, so that its pins and folders go with the lab. */
export function recordInstance(lab: Lab, key: string, host: string): string {
  lab.mustStand();
  const instance = `slu${lab.state.id}-${key === host ? host : key}`;
  lab.state.instances[key] = instance;
  saveState(lab.state);
  return instance;
}

/** Says that the daemon serves, in its own log. */
const SERVING = /^sluice: serving/m;

/** Starts `sluice run` in a host with a configuration file and waits until it serves. Throws with its log when it does not. */
export async function startDirector(
  lab: Lab,
  host: string,
  config: string,
  args: readonly string[] = [],
): Promise<HostProcess & { instance: string }> {
  const instance = recordInstance(lab, host, host);
  const file = resolve(projectDir, config);
  const command = [sluiceCommand, "run", "-c", file, "--instance", instance, ...args];
  const daemon = await lab.spawn(host, command);
  await daemon.says(SERVING, 30_000);
  return { ...daemon, instance };
}

/** Starts Sluice on the hosts of the topology, those nearest to the real backends first; spares are left out. */
export async function startDirectors(lab: Lab): Promise<void> {
  for (const role of ["proxy", "director"] as const) {
    const hosts = lab.topology.hosts.filter((h) => h.role === role && h.director && !h.director.spare);
    await Promise.all(
      hosts.map(({ name, director }) =>
        startDirector(lab, name, director!.config, director!.standby ? ["--standby"] : []),
      ),
    );
  }
}
