import { isIPv6 } from "../../core/address.ts";
import { backendName } from "../../core/backend.ts";
import { configProblem, type Problem } from "../../core/problem.ts";
import { type Listener, listenerName, type Service } from "../../core/service.ts";
import { beyondXdp, COUNTS_NO_FLOWS, countsFlows, engineOf } from "./engine-of.ts";
import type { NatOptions } from "./options.ts";

const impossible = (path: Problem["path"], message: string, hint: string): Problem =>
  configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, { hint });

/** What nat cannot do of what a service asks. Paths are relative to the service. */
export function judge(service: Service<NatOptions>): Problem[] {
  const { options, listen, backends } = service;
  const problems: Problem[] = [];
  if (options.engine === "xdp")
    for (const { path, what } of beyondXdp(service))
      problems.push(impossible(path, `${what}, which the xdp engine cannot.`, "Use nat: { engine: nftables }."));
  if (engineOf(service) === "nftables" && countsFlows(service.scheduler.name))
    problems.push(
      impossible(["scheduler"], COUNTS_NO_FLOWS, "Use the xdp engine, or a scheduler by turns or by hash."),
    );
  listen.forEach((listener, i) => {
    if (listener.address === "0.0.0.0" || listener.address === "::")
      problems.push(
        impossible(["listen", i], "A VIP is one address; this one stands for all.", "Write the address clients use."),
      );
    if (options.helper === "ftp" && listener.protocol === "udp")
      problems.push(impossible(["listen", i], "FTP runs over TCP.", "Drop /udp, or the helper."));
  });
  const first = listen[0];
  if (first === undefined) return problems;
  listen.forEach((listener, i) => {
    if (isIPv6(listener.address) !== isIPv6(first.address))
      problems.push(familyProblem(["listen", i], listenerName(listener), first));
  });
  backends.forEach((backend, i) => {
    if (isIPv6(backend.address) !== isIPv6(first.address))
      problems.push(familyProblem(["backends", i], backendName(backend), first));
  });
  return problems;
}

const familyProblem = (path: Problem["path"], name: string, first: Listener): Problem =>
  impossible(
    path,
    `${name} and ${listenerName(first)} are of two address families: nat does not translate between them.`,
    "Make one service for each family.",
  );

/** The addresses that answers come from, and so that tell the way back: `10.0.1.210:8000/tcp`. */
const replySources = (service: Service<NatOptions>): Map<string, number> => {
  const found = new Map<string, number>();
  service.backends.forEach((backend, i) => {
    for (const listener of service.listen)
      found.set(`${backendName({ ...backend, port: backend.port ?? listener.port })}/${listener.protocol}`, i);
  });
  return found;
};

/**
 * The xdp engine keeps no flows: on the way back it knows the VIP by the backend's address and port alone. Two
 * services that share one would make it ambiguous. Paths begin with the service's name.
 */
export function judgeTogether(services: readonly Service<NatOptions>[]): Problem[] {
  const problems: Problem[] = [];
  const owners = new Map<string, string>();
  for (const service of services.filter((one) => engineOf(one) !== "nftables")) {
    for (const [source, index] of replySources(service)) {
      const other = owners.get(source);
      if (other === undefined) owners.set(source, service.name);
      else
        problems.push(
          configProblem(
            "SLUICE_CONFIG_CONFLICT",
            [service.name, "backends", index],
            `Services "${other}" and "${service.name}" share the backend ${source}: on the xdp engine its answers could belong to either.`,
            { hint: "Use nat: { engine: nftables } for one of them, or another port on the backend." },
          ),
        );
    }
  }
  return problems;
}
