import { isIPv6, toBytes16 } from "../core/address.ts";
import { configProblem, type Problem } from "../core/problem.ts";
import type { Service } from "../core/service.ts";
import { schedulers } from "../schedulers/list.ts";
import type { PlaneOptions } from "./plane-options.ts";

type Choice = Pick<PlaneOptions, "sticky" | "quic" | "byLoad">;

/** What `sticky`, `quic` and `byLoad` ask for and cannot have. Paths are relative to the service. */
export function judgeChoice(service: Service<Choice>): Problem[] {
  const { method, scheduler, options, listen } = service;
  const problems: Problem[] = [];
  const hashes = schedulers.some(({ name, faces }) => name === scheduler.name && faces.includes("slots"));
  if (options.sticky && !hashes)
    problems.push(
      configProblem(
        "SLUICE_CONFIG_IMPOSSIBLE",
        [method, "sticky"],
        `${scheduler.name} gives each flow to whom it will: it keeps no client with one backend.`,
        { hint: "Use the scheduler maglev or source-hash." },
      ),
    );
  if (options.byLoad && !service.agent)
    problems.push(
      configProblem(
        "SLUICE_CONFIG_IMPOSSIBLE",
        [method, "byLoad"],
        "Nobody reports a load: the service has no agent.",
        {
          hint: "Add agent: PORT (docs/agent.md).",
        },
      ),
    );
  if (options.byLoad && scheduler.name === "round-robin")
    problems.push(
      configProblem(
        "SLUICE_CONFIG_IMPOSSIBLE",
        [method, "byLoad"],
        "round-robin goes by no weight, so by no load either.",
        { hint: "Use another scheduler, such as weighted-round-robin." },
      ),
    );
  if (!options.quic) return problems;
  if (!listen.some(({ protocol }) => protocol === "udp"))
    problems.push(
      configProblem("SLUICE_CONFIG_IMPOSSIBLE", [method, "quic"], "QUIC runs over UDP: no listener has /udp."),
    );
  return [...problems, ...sameServerId(service)];
}

/** The server ID of a backend: the last four octets of its address, as hexadecimal digits. */
const serverId = (address: string): string => Buffer.from(toBytes16(address).subarray(12)).toString("hex");

function sameServerId({ backends }: Service<Choice>): Problem[] {
  const owners = new Map<string, string>();
  return backends.flatMap(({ address }, i) => {
    const id = serverId(address);
    const other = owners.get(id);
    owners.set(id, address);
    if (other === undefined) return [];
    const why = isIPv6(address) ? `${other} and ${address} end alike` : `${address} stands twice`;
    const message = `${why}: connection IDs could not tell these backends apart.`;
    return [configProblem("SLUICE_CONFIG_IMPOSSIBLE", ["backends", i, "address"], message)];
  });
}
