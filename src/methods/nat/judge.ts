import { isIPv6 } from "../../core/address.ts";
import { backendName } from "../../core/backend.ts";
import { configProblem, type Problem } from "../../core/problem.ts";
import { type Geography, type Listener, listenerName, MOST_RANGES, type Service } from "../../core/service.ts";
import { judgeChoice } from "../../dataplane/judge-choice.ts";
import { judgePlaces } from "../../dataplane/judge-places.ts";
import { beyondNftables, beyondXdp, engineOf } from "./engine-of.ts";
import type { NatOptions } from "./options.ts";

const impossible = (path: Problem["path"], message: string, hint: string): Problem =>
  configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, { hint });

/** What nat cannot do of what a service asks. Paths are relative to the service. */
export function judge(service: Service<NatOptions>): Problem[] {
  const { options, listen, backends } = service;
  const problems = judgeChoice(service);
  if (options.engine === "xdp")
    for (const { path, what, hint = "Use nat: { engine: nftables }." } of beyondXdp(service))
      problems.push(impossible(path, `${what}, which the xdp engine cannot.`, hint));
  if (engineOf(service) === "nftables")
    for (const { path, why, hint } of beyondNftables(service)) problems.push(impossible(path, why, hint));
  listen.forEach((listener, i) => {
    if (listener.address === "0.0.0.0" || listener.address === "::")
      problems.push(
        impossible(["listen", i], "A VIP is one address; this one stands for all.", "Write the address clients use."),
      );
    if (options.helper === "ftp" && listener.protocol === "udp")
      problems.push(impossible(["listen", i], "FTP runs over TCP.", "Drop /udp, or the helper."));
  });
  if (options.limits !== undefined && engineOf(service) === "nftables")
    problems.push(
      impossible(["nat", "limits"], "The nftables engine has no limits.", "Use nat: { engine: xdp }, or drop limits."),
    );
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

/** An address, and the ports from which answers of one service come. */
interface ReplySource {
  owner: string;
  index: number;
  vip: string;
  first: number;
  last: number;
  /** The client asked for the very port that answers. */
  kept: boolean;
  xdp: boolean;
}

/** What answers come from, and so what tells the way back, by backend address and protocol. */
function replySources(service: Service<NatOptions>): [string, ReplySource][] {
  return service.backends.flatMap(({ address, port }, index) =>
    service.listen.map((l): [string, ReplySource] => [
      `${address} ${l.protocol}`,
      {
        owner: service.name,
        index,
        vip: l.address,
        first: port ?? l.port,
        last: port ?? l.last ?? l.port,
        kept: port === null || (port === l.port && l.last === undefined),
        xdp: engineOf(service) !== "nftables",
      },
    ]),
  );
}

/** The same answer could belong to either: not where both keep ports on one VIP, since then it is the same answer. */
const clash = (a: ReplySource, b: ReplySource): boolean =>
  a.owner !== b.owner &&
  (a.xdp || b.xdp) &&
  a.first <= b.last &&
  b.first <= a.last &&
  !(a.kept && b.kept && a.vip === b.vip);

/**
 * The xdp engine keeps no flows: on the way back it knows the VIP by the backend's address and port alone. Two
 * services that share one would make it ambiguous, also when the other is on nftables: its answers come by the same way,
 * unless they go to the director itself. Paths begin with the service's name.
 */
export function judgeTogether(
  services: readonly Service<NatOptions>[],
  _settings?: unknown,
  geography?: Geography,
): Problem[] {
  const problems = judgePlaces(services, geography);
  const known = new Map<string, ReplySource[]>();
  for (const service of services.filter((one) => !one.options.masquerade))
    for (const [key, source] of replySources(service)) {
      const others = known.get(key) ?? [];
      known.set(key, others);
      const other = others.find((one) => clash(one, source));
      if (other) problems.push(sharedProblem(service, key, source, other));
      else others.push(source);
      if (others.filter(({ first, last, xdp }) => xdp && first !== last).length > MOST_RANGES)
        problems.push(
          impossibleHere(
            [service.name, "backends", source.index],
            `More than ${MOST_RANGES} ranges of ports lead to this backend: each is looked at in turn.`,
          ),
        );
    }
  return problems;
}

const impossibleHere = (path: Problem["path"], message: string): Problem =>
  configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message);

function sharedProblem(service: Service<NatOptions>, key: string, source: ReplySource, other: ReplySource): Problem {
  const [address = "", protocol] = key.split(" ");
  const name = backendName({ address, port: Math.max(source.first, other.first) });
  return configProblem(
    "SLUICE_CONFIG_CONFLICT",
    [service.name, "backends", source.index],
    `Services "${other.owner}" and "${service.name}" share the backend ${name}/${protocol}: on the xdp engine its answers could belong to either.`,
    { hint: "Use nat: { engine: nftables } for both or, with masquerade, for one; or another port on the backend." },
  );
}
