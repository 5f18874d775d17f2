import type { HostProcess, Lab } from "../../src/lab/lab.ts";
import { signal, waitGone } from "../../src/lab/processes.ts";
import { accessLog, startProgram } from "../../src/lab/start.ts";
import { hostOf } from "../../src/lab/topology.ts";

const script = "programs/http-backend.ts";

/** Kills a host's HTTP server: its port then refuses. */
export async function killServer(lab: Lab, host: string): Promise<void> {
  const servers = lab.state.processes.filter((p) => p.host === host && p.command.some((word) => word.endsWith(script)));
  for (const server of servers) signal(server, "SIGKILL");
  await Promise.all(servers.map((server) => waitGone(server, 2_000)));
}

/** Starts a host's HTTP server again, as the topology says. */
export async function reviveServer(lab: Lab, host: string): Promise<HostProcess> {
  const run = hostOf(lab.topology, host).programs?.find(({ program }) => program === "http-backend");
  if (!run) throw new Error(`${host} has no HTTP server`);
  return startProgram(lab, host, run.program, "--name", host, ...run.args, "--log", accessLog(lab, host));
}
