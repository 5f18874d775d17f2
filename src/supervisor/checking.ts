import type { Method } from "../core/method.ts";
import { checkedListener } from "../core/service.ts";
import type { ProbeJob } from "../core/worker-protocol.ts";
import type { Book } from "./book.ts";
import type { Checkers } from "./checkers.ts";
import type { KernelSide } from "./kernel-side.ts";
import type { Entry, Member } from "./member.ts";

/** Keys of jobs that ask an agent begin so; no service is called like that. */
const AGENT = "@";

/** The backend (`service/id`) whose agent was asked; null for a job that is a check. */
export const askedAgent = (key: string): string | null => (key.startsWith(AGENT) ? key.slice(AGENT.length) : null);

/**
 * Hands every backend that is to be probed or asked to the checkers: probes at the standpoint that its method declares,
 * questions to agents from the host. An agent is asked in maintenance too: only it can take its own word back.
 */
export function assignChecks(book: Book, checkers: Checkers, kernel: KernelSide, methods: readonly Method[]): void {
  const host: ProbeJob[] = [];
  const vip: ProbeJob[] = [];
  for (const entry of book.entries.values()) {
    const method = methods.find(({ name }) => name === entry.service.method)!;
    for (const member of entry.members) {
      if (member.leaving) continue;
      const asked = agentJob(entry, member);
      if (asked) host.push(asked);
      if (entry.service.check === null || member.config.follows || member.health.state === "maintenance") continue;
      const atVip = method.traits.checks === "vip-at-backend";
      const target = atVip
        ? kernel.applierOf(entry)?.probe?.(entry.service.name, member.id)
        : hostTarget(entry, member);
      if (target)
        (atVip ? vip : host).push({ key: `${entry.service.name}/${member.id}`, check: entry.service.check, target });
    }
  }
  checkers.assign("host", host);
  checkers.assign("vip", vip);
}

function agentJob({ service: { name, agent } }: Entry, { id, config }: Member): ProbeJob | null {
  if (!agent || config.follows) return null;
  const { port, interval, timeout, send } = agent;
  const options = send === undefined ? {} : { send };
  const check = { kind: "agent", options, interval, timeout, rise: 1, fall: 1 };
  return { key: `${AGENT}${name}/${id}`, check, target: { address: config.address, port } };
}

/** A backend's own address; without a port of its own the listener's, or the web's for methods that have none. */
function hostTarget({ service }: Entry, { config }: Member): ProbeJob["target"] {
  return { address: config.address, port: config.port ?? checkedListener(service.listen)?.port ?? 80 };
}

/**
 * Have all checked backends of this service had a verdict, and all agents been asked? `trusted`: what an earlier daemon
 * found is as good as a verdict.
 */
export const judged = ({ service: { check, agent }, members }: Entry, trusted: boolean): boolean =>
  members.every((m) => {
    if (m.config.follows || m.leaving) return true;
    const found = m.last !== null || m.health.state === "maintenance" || (trusted && m.health.alive !== null);
    return (check === null || found) && (!agent || m.reported.last !== null);
  });
