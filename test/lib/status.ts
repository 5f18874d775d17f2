import type { Lab } from "../../src/lab/lab.ts";
import { sluiceCommand } from "../../src/lab/paths.ts";
import type { BackendStatus, ServiceStatus, StatusModel } from "../../src/observe/status.ts";
import { eventually, type Sluice } from "./lab.ts";

/** Runs a command of the product against a daemon of the lab; gives stdout. Throws with stderr when it fails. */
export async function sluice(lab: Lab, daemon: Sluice, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(daemon.host, [
    sluiceCommand,
    ...args,
    ...["--instance", daemon.instance],
  ]);
  if (code !== 0) throw new Error(`sluice ${args.join(" ")}: exit code ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

export const status = async (lab: Lab, daemon: Sluice): Promise<StatusModel> =>
  JSON.parse(await sluice(lab, daemon, "status", "--json"));

export async function serviceStatus(lab: Lab, daemon: Sluice, service: string): Promise<ServiceStatus> {
  const found = (await status(lab, daemon)).services.find(({ name }) => name === service);
  if (!found) throw new Error(`no service ${service}`);
  return found;
}

/** Waits until exactly these backends (`ADDRESS[:PORT]`) of a service may get work. */
export async function untilEligible(
  lab: Lab,
  daemon: Sluice,
  service: string,
  names: readonly string[],
): Promise<BackendStatus[]> {
  const wanted = [...names].sort().join(" ");
  let seen = "";
  return eventually(
    `${service}: eligible are ${wanted}`,
    async () => {
      const { backends } = await serviceStatus(lab, daemon, service);
      seen = backends
        .filter(({ eligible }) => eligible)
        .map(({ name }) => name)
        .sort()
        .join(" ");
      return seen === wanted ? backends : null;
    },
    20_000,
  ).catch((error) => {
    throw new Error(`${error.message}; were: ${seen}\n${daemon.stderr()}`);
  });
}
