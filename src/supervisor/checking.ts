import type { Method } from "../core/method.ts";
import type { ProbeJob } from "../core/worker-protocol.ts";
import type { Book, Entry, Member } from "./book.ts";
import type { Checkers } from "./checkers.ts";
import type { KernelSide } from "./kernel-side.ts";

/** Hands every backend that is to be probed to the checkers, each at the standpoint its method declares. */
export function assignChecks(book: Book, checkers: Checkers, kernel: KernelSide, methods: readonly Method[]): void {
  const host: ProbeJob[] = [];
  const vip: ProbeJob[] = [];
  for (const entry of book.entries.values()) {
    const method = methods.find(({ name }) => name === entry.service.method)!;
    for (const member of entry.members) {
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

/** A backend's own address; without a port of its own the listener's, or the web's for methods that have none. */
function hostTarget({ service }: Entry, { config }: Member): ProbeJob["target"] {
  return { address: config.address, port: config.port ?? service.listen[0]?.port ?? 80 };
}

/** Have all checked backends of this service had a verdict? */
export const judged = ({ service, members }: Entry): boolean =>
  service.check === null ||
  members.every((m) => m.config.follows || m.last !== null || m.health.state === "maintenance");
