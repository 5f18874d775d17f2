import { inTurn } from "../../core/in-turn.ts";
import type { Applier, Doors, KernelCounts, Prepared } from "../../core/method.ts";
import { configProblem, type Problem, type Result, SluiceError, toProblem } from "../../core/problem.ts";
import { vipChanges } from "../../dataplane/changes.ts";
import { missingAddresses } from "../../dataplane/facts-now.ts";
import { Held } from "../../dataplane/held.ts";
import { forgetFlows } from "../../system/conntrack.ts";
import { netnsHere } from "../../system/net.ts";
import { type NftCounter, nftCounters, nftTable, nftTables, nftTransaction } from "../../system/nft.ts";
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

/** ms between two looks at what stands on the host. */
const LOOK = 3000;

/**
 * The nftables engine: one table per instance. New flows are spread by a hash over the scheduler's slots; the flow
 * then belongs to conntrack, which also turns the way back around. The table outlives the daemon and is adopted by
 * the next start with its counters. A table or a VIP that somebody takes away, as a firewall does that flushes all rules
 * at its reload, is made again.
 */
export class NftablesApplier implements Applier<NatService> {
  readonly #doors: Doors;
  readonly #table: string;
  readonly #ground: Held;
  readonly #vips: Held;
  /** Rules are written by one at a time: what is read of the table must hold until then. */
  readonly #alone = inTurn();
  readonly #home = netnsHere();
  /** Of looks, from the first services on. */
  #timer: ReturnType<typeof setInterval> | null = null;
  #standby: boolean;
  #running: readonly NatService[] = [];

  constructor(doors: Doors) {
    this.#doors = doors;
    this.#table = tableName(doors.instance);
    this.#ground = new Held(doors);
    this.#vips = new Held(doors);
    this.#standby = doors.standby;
  }

  #toSlotted(service: NatService): Slotted {
    const definition = this.#doors.schedulers(service.scheduler.name);
    const spread = takesTurns(definition) ? "turn" : definition.slotKey === "source" ? "source" : "flow";
    return { service, slots: fillSlots(service, definition), spread };
  }

  async #wholeRules(next: readonly NatService[]): Promise<string> {
    const there = must(await nftTable("inet", this.#table));
    return wholeTable(
      this.#table,
      next.map((service) => this.#toSlotted(service)),
      there,
    );
  }

  #holdVips(): Promise<void> {
    return this.#vips.hold(this.#standby ? [] : vipChanges(this.#running, this.#doors.facts));
  }

  async prepare(next: readonly NatService[]): Promise<Prepared | Problem[]> {
    // `auto` may come here only when xdp cannot be had.
    const beyond = next.flatMap(notHere);
    if (beyond.length > 0) return beyond;
    try {
      if (next.length > 0) must(await nftTransaction(await this.#wholeRules(next), true));
      await this.#ground.widen(nftablesGround(next, this.#doors.facts));
    } catch (thrown) {
      await this.#ground.shrink();
      return [toProblem(thrown, "kernel")];
    }
    return { commit: () => this.#alone(() => this.#commit(next)), abort: () => this.#ground.shrink() };
  }

  async #commit(next: readonly NatService[]): Promise<void> {
    const before = new Map(this.#running.map((service) => [service.name, service]));
    this.#running = next;
    // Rules before addresses: a VIP that stands without rules would answer clients with a reset.
    must(next.length > 0 ? await nftTransaction(await this.#wholeRules(next)) : await this.#empty());
    for (const service of next) freeFlows(service, before.get(service.name), next, this.#doors.log);
    await this.#holdVips();
    await this.#ground.settle();
    this.#timer ??= setInterval(() => void this.#alone(() => this.#look()), LOOK).unref();
  }

  async #empty(): Promise<Result<null>> {
    const there = must(await nftTable("inet", this.#table));
    return there ? nftTransaction(wholeTable(this.#table, [], there)) : { ok: true, value: null };
  }

  refresh(changed: readonly NatService[]): Promise<void> {
    return this.#alone(async () => {
      for (const service of changed) {
        const before = this.#running.find((old) => old.name === service.name);
        this.#running = this.#running.map((old) => (old === before ? service : old));
        must(await nftTransaction(refreshedService(this.#table, this.#toSlotted(service))));
        freeFlows(service, before, this.#running, this.#doors.log);
      }
    });
  }

  /** Makes again what somebody has taken away. */
  async #look(): Promise<void> {
    if (this.#running.length === 0 || netnsHere() !== this.#home) return;
    const { log } = this.#doors;
    try {
      if (!must(await nftTables("inet")).includes(this.#table)) {
        const rules = await this.#wholeRules(this.#running);
        if (netnsHere() !== this.#home) return;
        must(await nftTransaction(rules));
        log("warn", `nftables table inet ${this.#table} was taken away by somebody, and is there again`);
      }
      const lost = await missingAddresses(this.#vips.changes);
      if (lost.length === 0) return;
      log("warn", `taken away by somebody, and held again: ${lost.join(", ")}`);
      await this.#vips.renew();
    } catch (thrown) {
      const { code, message } = toProblem(thrown, "kernel");
      log("error", `what somebody took away cannot be made again: ${message}`, { code });
    }
  }

  async setRole(role: "active" | "standby"): Promise<void> {
    this.#standby = role === "standby";
    await this.#holdVips();
  }

  async counts(): Promise<Map<string, KernelCounts>> {
    const told = await nftCounters("inet", this.#table);
    return told.ok ? countsOf(told.value) : new Map();
  }

  describe(): string[] {
    return [`nftables table inet ${this.#table}`];
  }

  async release(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#alone(async () => {});
  }

  async remove(): Promise<void> {
    this.#running = [];
    await this.release();
    await this.#vips.hold([]);
    await this.#ground.hold([]);
  }
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
