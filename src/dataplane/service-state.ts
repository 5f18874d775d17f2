import { hashText } from "../core/hash.ts";
import type { Scheduler, SchedulerDefinition } from "../core/scheduler.ts";
import { clearHostBits } from "../geo/prefix.ts";
import maglev from "../schedulers/maglev.ts";
import { service as at, Choice, Limit, ServiceFlag, State, table, Used } from "./generated/layout.ts";
import { LoadWeights } from "./load-weights.ts";
import { backendKey, type LocalBackend, readBackend } from "./local-backend.ts";
import { elementBytes, getWord, type PlaneMemory, setWord } from "./memory.ts";
import * as phases from "./phases.ts";
import { defaultIdle, type ForwardName, forwardNumber, type PlaneService } from "./plane-service.ts";
import { Roster, type Take } from "./roster.ts";
import { allWeights, restingText, SlotOrder } from "./slot-order.ts";
import { packSlots, unpackSlots } from "./slot-words.ts";
import type { Swept } from "./sweep.ts";
import { ticksNow, toLife } from "./ticks.ts";
import { flowsOf, forgetRounds, type Round, roundOf, writeRound } from "./turns.ts";
import { WEIGHTS_WAIT, weightStep } from "./weight-step.ts";

/** Where tables are made, one after another. */
const scratch = new Uint16Array(Limit.MAX_SLOTS);

const alike = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i]);

const overflow = maglev as SchedulerDefinition;
const overflowOptions = overflow.options.parse({});

/** What slots were last computed from. */
interface Basis {
  /** Scheduler, options and, where packets name others, who gets no new work. */
  text: string;
  /** Local numbers. */
  chosen: readonly number[];
}

/** One service in the plane: its numbering, its slots, and its two tables in the kernel. */
export class ServiceState {
  readonly number: number;
  readonly forward: ForwardName;
  readonly name: string;
  config: PlaneService | null = null;
  readonly slots: phases.Slots;
  readonly #memory: PlaneMemory;
  readonly #roster = new Roster();
  /** Of a service whose scheduler remembers every flow; null of one whose slots alone decide. */
  #round: Round | null = null;
  /** Of a service whose packets name others; else null. */
  #order: SlotOrder | null = null;
  /** Of the slots in force: tells a change of the set from one of weights. */
  #basis: Basis | null = null;
  /** Weights of the slots in force, by local number. */
  #weights = new Map<number, number>();
  /** Flows given to backends that have gone since. */
  formerFlows = 0;
  /** A change of weights that waits for slots to settle. */
  waiting = false;
  /** The table to come differs from the one in force. */
  changed = true;
  #loads: LoadWeights | null = null;
  #fresh = true;

  constructor(memory: PlaneMemory, number: number, forward: ForwardName, name: string, slots: number) {
    this.#memory = memory;
    this.number = number;
    this.forward = forward;
    this.name = name;
    this.slots = phases.createSlots(slots);
  }

  /** Which of its two tables is read, 0 or 1. */
  get #copy(): number {
    return getWord(this.#memory.services, this.number, at.table) & 1;
  }

  /** Its backends by local number. */
  get locals(): ReadonlyMap<number, LocalBackend> {
    return this.#roster.all;
  }

  /** One of the configuration, by its id in snapshots. */
  backend(id: number): LocalBackend | undefined {
    return this.#roster.byId(id);
  }

  /** ms after which an idle flow is forgotten: the longest of the service's protocols. */
  get idle(): number {
    const { tcp, udp } = this.config?.idle ?? defaultIdle;
    const protocols = new Set(this.config?.vips.map(({ protocol }) => protocol) ?? ["tcp", "udp"]);
    // One tick more than the program allows: it rounds.
    return Math.max(protocols.has("tcp") ? tcp : 0, protocols.has("udp") ? udp : 0) + 2200;
  }

  /** Writes what never changes in a live service. Nothing names it yet. */
  announce(config: PlaneService): void {
    const bytes = elementBytes(this.#memory.services, this.number);
    bytes.fill(0);
    bytes.set(new TextEncoder().encode(this.name).subarray(0, Limit.SERVICE_NAME - 1), at.name);
    this.#set32(at.slots, this.slots.words.length);
    this.#set32(at.chunk, Math.floor(this.number / Limit.CHUNK_SERVICES));
    this.#set32(at.table, inChunk(this.number));
    this.#set32(at.seed, hashText(this.name, config.seed));
    this.#set32(at.seed + 4, hashText(this.name, config.seed ^ 0x5bd1e995));
    this.#set32(at.forward, forwardNumber[this.forward]);
    // "Long ago": a fresh service has never been full.
    this.#set32(at.lastFull, ticksNow() - 0x4000_0000);
    forgetRounds(this.#memory, this.number);
    this.#set32(at.used, Used.USED_PLAIN);
  }

  /** Takes up a service that an earlier daemon left: numbering and phases from the maps, every window opened now. */
  adopt(now: number): void {
    const words = this.#memory.tables.words(2 * this.number + this.#copy);
    phases.adopt(this.slots, unpackSlots(words, this.slots.words.length), now);
    this.#fresh = false;
    for (let local = 0; local < Limit.MAX_LOCAL; local++) {
      const word = words[table.backends / 4 + local]!;
      const state = word >>> State.STATE_SHIFT;
      if (state === State.STATE_EMPTY) continue;
      const number = word & State.STATE_NUMBER_MASK;
      const downSince = state === State.STATE_DOWN ? now : null;
      const named = readBackend(this.#memory, number);
      this.#roster.adopt({ local, number, id: null, weight: 1, state, downSince, key: backendKey(named), ...named });
    }
  }

  /**
   * Takes a configuration or snapshot in: numbers new backends (`take` gives the plane's number and writes the entry),
   * moves slots. Nothing reaches the kernel before `fill`. Returns false when there was no number left. `quiet`: no flow
   * comes by here (a standby director), so there is nothing to remember and every slot is settled at once: only settled
   * slots choose as those of the other director do.
   */
  update(config: PlaneService, definition: SchedulerDefinition, take: Take, now: number, quiet = false): boolean {
    this.config = config;
    const followed = this.#roster.follow(config, take, now);
    if (followed === null) return false;
    if (followed.changed) this.changed = true;
    if (quiet) this.#fresh = true;
    this.#reslot(config, definition, now);
    return true;
  }

  /** Has every flow of this service a cell? */
  get remembers(): boolean {
    return this.#round !== null;
  }

  #reslot(config: PlaneService, definition: SchedulerDefinition, now: number): void {
    const chosen: LocalBackend[] = [];
    for (const id of config.eligible) {
      const one = this.#roster.byId(id);
      if (one) chosen.push(one);
    }
    const wanted = this.#wanted(config, chosen, now);
    this.#order = config.secondChance ? (this.#order ?? new SlotOrder(this.slots.words.length)) : null;
    const resting = this.#order ? restingText(config, this.#roster, chosen) : "";
    const basis: Basis = {
      text: `${config.scheduler.name} ${JSON.stringify(config.scheduler.options)} ${resting}`,
      chosen: chosen.map(({ local }) => local),
    };
    const before = basis.chosen.map((local) => this.#weights.get(local) ?? 0);
    const sameSet = !this.#fresh && basis.text === this.#basis?.text && alike(basis.chosen, this.#basis.chosen);
    if (sameSet && alike(wanted, before)) this.waiting = false;
    else {
      this.changed = true;
      this.#newRound(config, definition, chosen, wanted, now);
      const tableOf = (weights: readonly number[]) => {
        const out = this.#table(chosen, weights, config, definition, now);
        this.#order?.learn(allWeights(config, this.#roster, chosen, weights), config.seed);
        this.#order?.choose(out, chosen);
        return out;
      };
      const shareOf = (weights: readonly number[]): number =>
        phases.unsettledAfter(this.slots, tableOf(weights)) / this.slots.words.length;
      // Weights alone go by bounded steps, each when those before have settled; who comes or goes does so at once.
      const full = (): boolean => this.slots.open / this.slots.words.length > WEIGHTS_WAIT;
      const step = !sameSet ? wanted : full() ? null : weightStep(before, wanted, shareOf);
      this.waiting = step === null || !alike(step, wanted);
      if (step) this.#reassign(tableOf(step), chosen, step);
      // What was tried is not what is in force.
      else if (this.#order) tableOf(before);
      this.#basis = basis;
    }
    if (phases.forceOut(this.slots, this.#roster.gone()) > 0) this.changed = true;
  }

  /** Weights of the chosen, times what reported loads make of them where somebody asks for that. */
  #wanted({ byLoad, backends }: PlaneService, chosen: readonly LocalBackend[], now: number): number[] {
    this.#loads = byLoad ? (this.#loads ?? new LoadWeights()) : null;
    if (this.#loads === null) return chosen.map(({ weight }) => weight);
    const able = new Set(chosen.map(({ id }) => id));
    const loads = this.#loads;
    loads.follow(
      backends.filter(({ id }) => able.has(id)),
      now,
    );
    return chosen.map(({ id, weight }) => weight * loads.partsOf(id!));
  }

  /** Has time something to do with its weights: do some wait for slots, or follow a report? */
  get drifting(): boolean {
    return this.waiting || (this.#loads?.moving ?? false);
  }

  /** Share of new flows that each backend gets by the slots in force, by id; null where no load changes weights. */
  get shares(): Map<number, number> | null {
    if (this.#loads === null) return null;
    const sum = [...this.#weights.values()].reduce((total, weight) => total + weight, 0);
    const shares = [...this.locals.values()].flatMap(({ id, local }): [number, number][] =>
      id === null ? [] : [[id, (this.#weights.get(local) ?? 0) / sum]],
    );
    return new Map(shares);
  }

  #reassign(next: Uint16Array, chosen: readonly LocalBackend[], weights: readonly number[]): void {
    this.#weights = new Map(chosen.map(({ local }, i) => [local, weights[i]!]));
    if (this.#fresh) phases.assign(this.slots, next);
    else phases.change(this.slots, next);
    this.#fresh = false;
  }

  /** Turns and weights of new flows; they wait for no slot, since they move nothing that is there. */
  #newRound(
    config: PlaneService,
    definition: SchedulerDefinition,
    chosen: LocalBackend[],
    weights: readonly number[],
    now: number,
  ): void {
    const remembered = this.remembers;
    this.#round = null;
    if (definition.faces.includes("kernel"))
      this.#round = roundOf(this.#create(definition, chosen, weights, config, now), chosen, weights);
    // Its cells name backends that are not those of their slots: they are asked until none is left.
    else if (remembered) phases.reopen(this.slots);
  }

  #create(
    definition: SchedulerDefinition,
    chosen: LocalBackend[],
    weights: readonly number[],
    config: PlaneService,
    now: number,
  ): Scheduler {
    const names = chosen.map(({ key }) => key);
    const env = { random: Math.random, now: () => now, load: () => 0, seed: config.seed };
    return definition.create({ ids: chosen.map((one) => one.id!), names, weights }, config.scheduler.options, env);
  }

  /** Who has which slot: to be read before the next table is made. Where every flow is remembered, slots are for those that find no room: Maglev's. */
  #table(
    chosen: LocalBackend[],
    weights: readonly number[],
    config: PlaneService,
    definition: SchedulerDefinition,
    now: number,
  ): Uint16Array {
    const out = scratch.subarray(0, this.slots.words.length);
    if (chosen.length === 0) return out.fill(phases.NONE);
    const filler = definition.faces.includes("slots") ? definition : overflow;
    const options = filler === overflow ? overflowOptions : config.scheduler.options;
    this.#create(filler, chosen, weights, { ...config, scheduler: { name: filler.name, options } }, now).slots!(out);
    const locals = Uint16Array.from(chosen, ({ local }) => local);
    for (let i = 0; i < out.length; i++) out[i] = locals[out[i]!]!;
    return out;
  }

  /** What time alone moves: who has been down for longer than the grace is given up, and windows close. True when any did. */
  pass(now: number): boolean {
    const abandoned = this.#roster.abandon(now);
    if (abandoned) phases.forceOut(this.slots, this.#roster.gone());
    const closed = phases.closeWindows(this.slots, now, this.idle, now - this.sinceFull);
    this.changed ||= abandoned || closed > 0;
    return this.changed;
  }

  /** Settles what a sweep, begun at `begun`, has found no other flows of. True when it has settled some. */
  settle(begun: number, swept: Swept): boolean {
    const moved = phases.settle(this.slots, begun, (slot) => !this.remembers && swept.busy(this.number, slot));
    this.changed ||= moved > 0;
    return moved > 0;
  }

  /** Is there anything that time, or a sweep, could move? */
  get restless(): boolean {
    return this.drifting || this.remembers || this.slots.open > 0 || this.#roster.restless;
  }

  /** Backends that nothing names any more and that the configuration has dropped. */
  retirable(live: (number: number) => number): LocalBackend[] {
    const left = [...this.locals.values()].filter((one) => one.id === null && live(one.number) === 0);
    if (left.length === 0) return left;
    const named = phases.named(this.slots);
    return left.filter((one) => named[one.local] === 0);
  }

  /** Takes a backend out of the numbering; the next `fill` forgets it. */
  retire(one: LocalBackend): void {
    this.formerFlows += flowsOf(this.#memory, one.number).connections;
    this.#roster.retire(one);
    this.changed = true;
  }

  /** Fills the copy of the table that nobody reads. The caller has waited for a barrier since the last `flip`. */
  fill(): void {
    const copy = 1 - this.#copy;
    const words = this.#memory.tables.words(2 * this.number + copy);
    const backends = table.backends / 4;
    words.fill(0, backends, backends + Limit.MAX_LOCAL);
    for (const one of this.locals.values())
      words[backends + one.local] = (one.number | (one.state << State.STATE_SHIFT)) >>> 0;
    packSlots(this.#round ? phases.consulted(this.slots) : this.slots.words, words);
    if (this.#round) writeRound(this.#memory, this.number, copy, this.#round, this.locals.values());
    this.#order?.write(this.#memory.orders.words(this.number));
    words[table.generation / 4]! += 1;
    this.changed = false;
  }

  /** Writes the words that stand beside its tables. */
  tell(definition: SchedulerDefinition | null): void {
    const { tcp, udp } = this.config?.idle ?? defaultIdle;
    if (definition) {
      const { sticky, quic } = this.config ?? {};
      const bySource = sticky || definition.slotKey === "source" ? ServiceFlag.SERVICE_BY_SOURCE : 0;
      if (bySource) writeMasks(this.#memory, this.number, sticky ?? { source: 32, source6: 128 });
      const oneShot = this.config?.oneShot ? ServiceFlag.SERVICE_ONE_SHOT : 0;
      this.#set32(at.choice, definition.kernelId ?? Choice.CHOICE_SLOT);
      this.#set32(
        at.flags,
        bySource | oneShot | (quic ? ServiceFlag.SERVICE_QUIC : 0) | (this.#round ? ServiceFlag.SERVICE_REMEMBERS : 0),
      );
      this.#set32(at.tcpLife, toLife(tcp));
      this.#set32(at.udpLife, toLife(udp));
    }
    this.#set32(at.used, this.config?.near ? Used.USED_BY_PLACE : Used.USED_PLAIN);
  }

  /** Puts the filled copy in force. */
  flip(): void {
    this.#set32(at.table, inChunk(this.number) + 1 - this.#copy);
  }

  /** ms since a flow last found no room. */
  get sinceFull(): number {
    const ticks = (ticksNow() - getWord(this.#memory.services, this.number, at.lastFull)) >>> 0;
    return (ticks * 2 ** Limit.TICK_SHIFT) / 1e6;
  }

  /** Flows that found no room since the service began, though it remembers them; they go by their slot. */
  get withoutRoom(): number {
    return getWord(this.#memory.services, this.number, at.noRoom);
  }

  erase(): void {
    this.#set32(at.used, Used.USED_NOT);
  }

  #set32(offset: number, value: number): void {
    setWord(this.#memory.services, this.number, offset, value);
  }
}

/** Which bits of a client's address choose its slot. */
function writeMasks(
  memory: PlaneMemory,
  service: number,
  { source, source6 }: NonNullable<PlaneService["sticky"]>,
): void {
  const bytes = elementBytes(memory.services, service);
  bytes.set(clearHostBits(new Uint8Array(16).fill(0xff), 96 + source), at.sourceMask4);
  bytes.set(clearHostBits(new Uint8Array(16).fill(0xff), source6), at.sourceMask6);
}

/** The first of a service's two tables, among those of its chunk. */
const inChunk = (service: number): number => 2 * (service % Limit.CHUNK_SERVICES);
