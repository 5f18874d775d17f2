import type { Applier, Doors, KernelCounts, Prepared } from "../../core/method.ts";
import { configProblem, type Problem, type Result, SluiceError, toProblem } from "../../core/problem.ts";
import { vipChanges } from "../../dataplane/changes.ts";
import { Held } from "../../dataplane/held.ts";
import { forgetFlows } from "../../system/conntrack.ts";
import { type NftCounter, nftCounters, nftTable, nftTransaction } from "../../system/nft.ts";
import { nftablesGround, tableName } from "./changes.ts";
import type { NatService } from "./compile.ts";
import { COUNTS_NO_FLOWS, countsFlows, KNOWS_NO_PLACES } from "./engine-of.ts";
import { ownPorts } from "./ports.ts";
import { refreshedService, type Slotted, wholeTable } from "./ruleset.ts";
import { fillSlots, takesTurns } from "./slots.ts";

/** A refusal by nft, told of the services and not of the line of a rule set that nobody has written. */
const must = <T>(result: Result<T>): T => {
  if (!result.ok) throw new SluiceError(result.problems[0]!);
  return result.value;
};

/**
 * The nftables engine: one table per instance. New flows are spread by a hash over the scheduler's slots; the flow
 * then belongs to conntrack, which also turns the way back around. The table outlives the daemon and is adopted by
 * the next start with its counters.
 */
export function createNftablesApplier(doors: Doors): Applier<NatService> {
  const table = tableName(doors.instance);
  const ground = new Held(doors);
  const vips = new Held(doors);
  let standby = doors.standby;
  let running: readonly NatService[] = [];

  const toSlotted = (service: NatService): Slotted => {
    const definition = doors.schedulers(service.scheduler.name);
    const spread = takesTurns(definition) ? "turn" : definition.slotKey === "source" ? "source" : "flow";
    return { service, slots: fillSlots(service, definition), spread };
  };
  const wholeRules = async (next: readonly NatService[]): Promise<string> =>
    wholeTable(table, next.map(toSlotted), must(await nftTable("inet", table)));
  const holdVips = (): Promise<void> => vips.hold(standby ? [] : vipChanges(running, doors.facts));

  async function commit(next: readonly NatService[]): Promise<void> {
    const before = new Map(running.map((service) => [service.name, service]));
    running = next;
    // Rules before addresses: a VIP that stands without rules would answer clients with a reset.
    must(next.length > 0 ? await nftTransaction(await wholeRules(next)) : await empty());
    for (const service of next) freeFlows(service, before.get(service.name), next, doors.log);
    await holdVips();
    await ground.settle();
  }
  const empty = async (): Promise<Result<null>> => {
    const there = must(await nftTable("inet", table));
    return there ? nftTransaction(wholeTable(table, [], there)) : { ok: true, value: null };
  };

  return {
    async prepare(next): Promise<Prepared | Problem[]> {
      // `auto` may come here only when xdp cannot be had.
      const beyond = next.flatMap(notHere);
      if (beyond.length > 0) return beyond;
      try {
        must(next.length > 0 ? await nftTransaction(await wholeRules(next), true) : { ok: true, value: null });
        await ground.widen(nftablesGround(next, doors.facts));
      } catch (thrown) {
        await ground.shrink();
        return [toProblem(thrown, "kernel")];
      }
      return { commit: () => commit(next), abort: () => ground.shrink() };
    },
    async refresh(changed) {
      for (const service of changed) {
        const before = running.find((old) => old.name === service.name);
        running = running.map((old) => (old === before ? service : old));
        must(await nftTransaction(refreshedService(table, toSlotted(service))));
        freeFlows(service, before, running, doors.log);
      }
    },
    async setRole(role) {
      standby = role === "standby";
      await holdVips();
    },
    async counts() {
      const told = await nftCounters("inet", table);
      return told.ok ? countsOf(told.value) : new Map();
    },
    describe: () => [`nftables table inet ${table}`],
    release: async () => {},
    async remove() {
      running = [];
      await vips.hold([]);
      await ground.hold([]);
    },
  };
}

function notHere({ name, scheduler, near, sticky, quic, byLoad }: NatService): Problem[] {
  const refuse = (why: string): Problem =>
    configProblem("SLUICE_CONFIG_IMPOSSIBLE", [], `Service ${JSON.stringify(name)}: ${why}`);
  return [
    ...(countsFlows(scheduler.name) ? [refuse(COUNTS_NO_FLOWS)] : []),
    ...(sticky || quic || byLoad ? [refuse("The nftables engine has neither sticky nor quic nor byLoad.")] : []),
    ...(near ? [refuse(KNOWS_NO_PLACES)] : []),
  ];
}

const OUT: readonly string[] = ["down", "maintenance"];

/**
 * Flows of backends that have just gone out and that lose nothing by it are forgotten, so that their next packet
 * finds another: UDP, which would go to the dead backend for as long as the client keeps its port, and TCP handshakes
 * under way, whose SYN is repeated. Established TCP stays: the backend may be alive, only its check is not.
 */
function freeFlows(
  service: NatService,
  before: NatService | undefined,
  all: readonly NatService[],
  log: Doors["log"],
): void {
  const was = new Map(before?.backends.map((backend) => [backend.id, backend.state]));
  const listeners = all.flatMap(({ vips }) => vips);
  for (const backend of service.backends) {
    if (!OUT.includes(backend.state) || OUT.includes(was.get(backend.id) ?? "up")) continue;
    for (const vip of service.vips) {
      const own = ownPorts(vip, listeners);
      const flows = {
        protocol: vip.protocol,
        vip: vip.address,
        backend: backend.address,
        ports: (asked: number, answering: number) => own(asked) && answering === (backend.port ?? asked),
      };
      const done = forgetFlows(flows, vip.protocol === "udp" ? "all" : "unanswered");
      if (!done.ok) log("warn", done.problems[0]!.message, { code: done.problems[0]!.code, service: service.name });
    }
  }
}

/** Named counters to counts: `n.SERVICE.ID.{new,in,out}`, `n.SERVICE.none`. Bytes are those of IP packets. Pure. */
export function countsOf(counters: readonly NftCounter[]): Map<string, KernelCounts> {
  const all = new Map<string, KernelCounts>();
  const of = (service: string): KernelCounts => {
    let counts = all.get(service);
    if (!counts) {
      const zero = { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0, drops: 0 };
      counts = { service: zero, backends: new Map(), drops: {} };
      all.set(service, counts);
    }
    return counts;
  };
  for (const { name, packets, bytes } of counters) {
    const match = /^n\.([^.]+)\.(?:(none)|(\d+)\.(new|in|out))$/.exec(name);
    if (!match) continue;
    const counts = of(match[1]!);
    if (match[2]) {
      counts.drops.SLUICE_DROP_NO_BACKEND = packets;
      counts.service.drops = packets;
      continue;
    }
    const id = Number(match[3]);
    const backend = counts.backends.get(id) ?? {};
    counts.backends.set(id, backend);
    const add = (key: "connections" | "packetsIn" | "packetsOut" | "bytesIn" | "bytesOut", amount: number): void => {
      backend[key] = amount;
      counts.service[key] = (counts.service[key] ?? 0) + amount;
    };
    if (match[4] === "new") add("connections", packets);
    else {
      add(match[4] === "in" ? "packetsIn" : "packetsOut", packets);
      add(match[4] === "in" ? "bytesIn" : "bytesOut", bytes);
    }
  }
  return all;
}
