import { backendName } from "../core/backend.ts";
import { configProblem, type Problem } from "../core/problem.ts";
import type { Listener } from "../core/service.ts";
import type { LocalBackend } from "./local-backend.ts";
import type { PlaneService } from "./plane-service.ts";

/** A service as it would stand, with the backends that it has dropped and that still have flows of it. */
export interface Answering {
  name: string;
  config: PlaneService | null;
  locals: ReadonlyMap<number, Pick<LocalBackend, "address" | "port">>;
}

/** Where answers of one service come from. */
interface Source {
  service: string;
  vip: string;
  first: number;
  last: number;
  /** The client asked for the very port that answers. */
  kept: boolean;
}

const sourceOf = (service: string, listener: Listener, port: number): Source => ({
  service,
  vip: listener.address,
  first: listener.last === undefined && port !== 0 ? port : listener.port,
  last: listener.last ?? (port === 0 ? listener.port : port),
  kept: listener.last !== undefined || port === 0 || port === listener.port,
});

/** An answer could belong to either: not where both keep ports on one VIP, since then it is the same answer. */
const clash = (a: Source, b: Source): boolean =>
  a.service !== b.service && a.first <= b.last && b.first <= a.last && !(a.vip === b.vip && a.kept && b.kept);

/**
 * Backends that these services of `nat` name while another one still has flows there: the way back is known by a backend's
 * address and port alone, so answers to those flows would come from the wrong VIP. That no two services name one backend is
 * judged with the configuration.
 */
export function mixedAnswers(services: readonly Answering[]): Problem[] {
  const left = new Map<string, Source[]>();
  for (const service of services)
    for (const [key, source] of sourcesOf(service, false)) left.set(key, [...(left.get(key) ?? []), source]);
  if (left.size === 0) return [];
  const problems = new Map<string, Problem>();
  for (const service of services)
    for (const [key, source] of sourcesOf(service, true)) {
      const other = left.get(key)?.find((one) => clash(one, source));
      if (other) problems.set(`${key} ${source.service}`, mixed(key.split(" ")[0]!, source, other));
    }
  return [...problems.values()];
}

/** By address and protocol; `named`: of backends that the configuration names, or of those that it does not. */
function* sourcesOf({ name, config, locals }: Answering, named: boolean): Generator<[string, Source]> {
  if (config === null || config.part) return;
  const wanted = new Set(config.backends.map(({ address, port }) => `${address} ${port ?? ""}`));
  for (const { address, port } of locals.values()) {
    if ((wanted.has(`${address} ${port}`) || wanted.has(`${address} `)) !== named) continue;
    for (const listener of config.vips) yield [`${address} ${listener.protocol}`, sourceOf(name, listener, port)];
  }
}

function mixed(address: string, by: Source, of: Source): Problem {
  const name = backendName({ address, port: Math.max(by.first, of.first) });
  return configProblem(
    "SLUICE_CONFIG_CONFLICT",
    ["services", by.service, "backends"],
    `Backend ${name} may still have connections of service "${of.service}": its answers to them would come from the wrong VIP.`,
    {
      hint: "Take it from there, and reload once more when the idle time of its flows is over; or let it listen at another port.",
    },
  );
}
