import type { Service } from "../../../core/service.ts";
import type { Snapshot } from "../../../core/snapshot.ts";
import type { Place } from "../../../geo/places.ts";
import { isWildcard, wireToName } from "../../../protocols/dns/name.ts";
import { Type } from "../../../protocols/dns/numbers.ts";
import type { Template } from "../../../protocols/dns/template.ts";
import { schedulers } from "../../../schedulers/list.ts";
import { type CompiledDns, compile } from "../compile.ts";
import type { Node } from "../node.ts";
import { type DnsOptions, MOST_ADDRESSES } from "../options.ts";
import type { Site } from "../site.ts";
import { goesBy, type Leaf, planOf } from "../steering/plan.ts";
import { DnsLimit, DnsNode, DnsSet, dnsKind, dnsNode, dnsSet } from "./layout.ts";
import { blockSize, encodeBlock, encodeReady, type First, type Manner } from "./records.ts";
import { Draft } from "./store.ts";
import { MOST_TREE, treeOf } from "./trees.ts";

/** A set of addresses of one kind: its bytes, or why there are none. */
export type SetBytes = Uint8Array | "none" | "pass";

/** Schedulers whose first place goes by weight, or evenly; others hang on more than a random number. */
const EVEN: Readonly<Record<string, boolean>> = { "weighted-round-robin": false, random: false, "round-robin": true };

/** May a service's answers be told from a random number and the client's place? */
export function drawable(service: Service<DnsOptions>): boolean {
  const { scheduler, options } = service;
  const needs = schedulers.find(({ name }) => name === scheduler.name)?.needs;
  const free = needs?.key !== true && needs?.load === undefined;
  return scheduler.name in EVEN && free && !(options.steer && goesBy(options.steer, "hash"));
}

/** Do a service's answers hang on places or groups? */
const grouped = ({ nearest, options }: Service<DnsOptions>, places: readonly Place[]): boolean =>
  options.steer !== undefined || (nearest && places.length > 0);

/** What is answered to one kind of question: who may stand first, and how the others follow. */
export interface Draw {
  firsts: (First & { id: number })[];
  manner: Manner;
}

/** Distinct addresses with the weight of all backends behind each; of those the first is counted. */
export function drawOf(service: Service<DnsOptions>, compiled: CompiledDns, snapshot: Snapshot, v6: boolean): Draw {
  const inTurn = compiled.rule === "rotated";
  const even = inTurn || EVEN[service.scheduler.name] === true;
  const places = new Map(snapshot.backends.map((backend, place) => [backend.id, { place, weight: backend.weight }]));
  const firsts = new Map<string, Draw["firsts"][number]>();
  for (const { id, address } of v6 ? compiled.v6 : compiled.v4) {
    const { place, weight } = places.get(id)!;
    const own = even ? 1 : Math.max(1, weight);
    const known = firsts.get(address);
    if (known === undefined) firsts.set(address, { id, address, weight: own, counter: place + 1 });
    else if (!even) known.weight += own;
  }
  return { firsts: [...firsts.values()], manner: { most: compiled.most, inTurn } };
}

/** What a service answers to both kinds of question now: IPv4, IPv6. */
export function setsOf(service: Service<DnsOptions>, snapshot: Snapshot, places: readonly Place[]): SetBytes[] {
  const plan = planOf(service, snapshot, places);
  return [false, true].map((v6) =>
    treeOf(plan, v6 ? "v6" : "v4", places.length, (leaf) => setOf(service, leaf, snapshot, v6)),
  );
}

/** What a group of backends answers to one kind of question; `snapshot`: of all backends. */
function setOf(service: Service<DnsOptions>, leaf: Leaf, snapshot: Snapshot, v6: boolean): SetBytes {
  const compiled = compile(service, leaf.snapshot);
  if (compiled.rule === "servfail" || compiled.rule === "fallback") return "pass";
  const { firsts, manner } = drawOf(service, compiled, snapshot, v6);
  const count = firsts.length;
  if (count === 0) return "none";
  const shown = Math.min(count, manner.most) * (v6 ? 28 : 16);
  if (count > MOST_FIRSTS || blockSize(count, manner, v6) > DnsLimit.DNS_SET_MOST || shown > DnsLimit.DNS_BODY_MOST)
    return "pass";
  return encodeBlock(firsts, compiled.ttl, manner);
}

/** Of a set; the program masks with it. */
const MOST_FIRSTS = 255;

/** Octets that a set can ever need with these backends, 0 when it would pass. */
function roomFor({ options }: Service<DnsOptions>, snapshot: Snapshot, v6: boolean): number {
  const all = new Set(snapshot.backends.flatMap(({ address }) => (address.includes(":") === v6 ? [address] : [])));
  if (all.size === 0) return 0;
  let most = 0;
  // With fewer backends there can be more rings.
  for (let count = 1; count <= Math.min(all.size, MOST_FIRSTS); count++) {
    const size = blockSize(count, { most: options.answers ?? MOST_ADDRESSES, inTurn: false }, v6);
    if (size <= DnsLimit.DNS_SET_MOST) most = Math.max(most, size);
  }
  return most;
}

/** One service in the view. */
export interface ViewService {
  service: Service<DnsOptions>;
  drawable: boolean;
  /** First of its counters. */
  counter: number;
  /** Backend ids in the order of its counters. */
  ids: number[];
  /** Octets that its sets may take, IPv4 and IPv6. */
  rooms: number[];
}

/** All that the program needs to know, before it is in the kernel. */
export interface View {
  draft: Draft;
  names: Uint8Array[];
  nodes: number[];
  /** Words of `struct dns_set`, one a service. */
  sets: Uint32Array;
  services: ViewService[];
  /** Of one CPU. */
  counters: number;
}

/** Services that are worked on in one go: a health change must not wait longer. */
const STEP = 500;

/**
 * Lays out names, ready answers and sets of a revision. `pause` is awaited again and again: a hundred thousand names take a
 * second, and verdicts must get through meanwhile.
 * @param signed zones whose questions with DO are the workers'
 */
export async function layOut(
  site: Site,
  services: readonly Service<DnsOptions>[],
  snapshotOf: (service: string) => Snapshot,
  places: readonly Place[],
  firstCounter: number,
  signed: ReadonlySet<string>,
  pause: () => Promise<void>,
): Promise<View> {
  const draft = new Draft();
  const view: View = {
    draft,
    names: [],
    nodes: [],
    sets: new Uint32Array((services.length * dnsSet.size) / 4),
    services: [],
    counters: firstCounter,
  };
  const numbers = new Map<string, number>();
  const waiting: (SetBytes[] | null)[] = [];
  for (const [i, service] of services.entries()) {
    if (i % STEP === STEP - 1) await pause();
    numbers.set(service.name, i);
    waiting.push(addService(view, service, snapshotOf(service.name), places));
  }
  // Sets lie beside the first name that has them: a query then reads fewer pages of memory.
  const place = (name: string): number => {
    const number = numbers.get(name)!;
    placeSets(view, number, waiting[number]!);
    waiting[number] = null;
    return number;
  };
  const writer = new NodeWriter(draft, place, signed);
  const nodes: [Uint8Array, Node][] = [];
  site.each((wire, node) => nodes.push([wire, node]));
  for (const [i, [wire, node]] of nodes.entries()) {
    if (i % STEP === STEP - 1) await pause();
    view.names.push(wire);
    view.nodes.push(writer.write(wire, node));
  }
  writer.linkWildcards();
  return view;
}

/** Adds a service without its sets, which it returns. */
function addService(
  view: View,
  service: Service<DnsOptions>,
  snapshot: Snapshot,
  places: readonly Place[],
): SetBytes[] {
  const can = drawable(service);
  const sets: SetBytes[] = can ? setsOf(service, snapshot, places) : ["pass", "pass"];
  const most = can ? [false, true].map((v6) => roomFor(service, snapshot, v6)) : [0, 0];
  const rooms = grouped(service, places) ? most.map((room, i) => roomForTree(room, sets[i]!)) : most;
  const ids = snapshot.backends.map(({ id }) => id);
  view.services.push({ service, drawable: can, counter: view.counters, ids, rooms });
  view.counters += ids.length + 1;
  return sets;
}

/** Gives a service's sets their places; null: they have them. */
function placeSets(view: View, number: number, sets: readonly SetBytes[] | null): void {
  if (sets === null) return;
  const { counter, rooms } = view.services[number]!;
  const at = (number * dnsSet.size) / 4;
  view.sets[at + dnsSet.counter / 4] = counter;
  for (const [i, set] of sets.entries()) {
    const word = set === "none" ? DnsSet.DNS_SET_NONE : set === "pass" ? DnsSet.DNS_SET_PASS : null;
    view.sets[at + (i === 0 ? dnsSet.v4 : dnsSet.v6) / 4] = word ?? view.draft.add(set as Uint8Array, rooms[i]);
  }
}

/** Groups that fail or come back make a tree larger or smaller; one that outgrows this has all laid out anew. */
const roomForTree = (room: number, set: SetBytes): number =>
  Math.max(room, Math.min(MOST_TREE, typeof set === "string" ? 0 : set.length * 2));

/** Writes the records of names. Ready answers that many names share are written once. */
class NodeWriter {
  readonly #draft: Draft;
  readonly #place: (service: string) => number;
  readonly #signed: ReadonlySet<string>;
  readonly #ready = new Map<Template, number>();
  /** Names with a wildcard below them, and where each wildcard is. */
  readonly #above: [number, Node][] = [];
  readonly #wildcards = new Map<Node, number>();

  /** `place`: has the sets of a service placed, and gives its number. */
  constructor(draft: Draft, place: (service: string) => number, signed: ReadonlySet<string>) {
    this.#draft = draft;
    this.#place = place;
    this.#signed = signed;
  }

  /** The reference of a name's record. */
  write(wire: Uint8Array, node: Node): number {
    const kinds = this.#kindsOf(node);
    const padded = (wire.length + 7) & ~7;
    const out = new Uint8Array(dnsNode.size + padded + kinds.length * dnsKind.size);
    const view = new DataView(out.buffer);
    const { zone, service, records, cut } = node;
    const closed = cut !== null || records?.has(Type.CNAME) || kinds.length > DnsLimit.DNS_KINDS;
    const open = cut !== null || records?.has(Type.DNAME);
    out[dnsNode.length] = wire.length;
    const signed = this.#signed.size > 0 && this.#signed.has(wireToName(zone.apex));
    out[dnsNode.flags] =
      (closed ? DnsNode.DNS_NODE_PASS : 0) |
      (open ? DnsNode.DNS_NODE_OPEN : 0) |
      (signed ? DnsNode.DNS_NODE_SIGNED : 0);
    out[dnsNode.zone] = zone.apex.length;
    out[dnsNode.kinds] = Math.min(kinds.length, DnsLimit.DNS_KINDS);
    view.setUint32(dnsNode.set, service === null ? 0 : this.#place(service.name) + 1, true);
    view.setUint32(dnsNode.nodata, this.#readyOf(node.nodata ?? zone.nodata), true);
    view.setUint32(dnsNode.nxdomain, this.#readyOf(zone.nxdomain), true);
    out.set(wire, dnsNode.size);
    for (const [i, { type, ready }] of kinds.entries()) {
      view.setUint32(dnsNode.size + padded + i * dnsKind.size + dnsKind.type, type, true);
      view.setUint32(dnsNode.size + padded + i * dnsKind.size + dnsKind.ready, ready, true);
    }
    const reference = this.#draft.add(out);
    if (node.wildcard !== null) this.#above.push([reference, node.wildcard]);
    if (isWildcard(wire)) this.#wildcards.set(node, reference);
    return reference;
  }

  /** To be called when all names are written: tells those above wildcards where these are. */
  linkWildcards(): void {
    for (const [reference, node] of this.#above) {
      const at = this.#draft.at(reference);
      new DataView(at.buffer, at.byteOffset).setUint32(dnsNode.wildcard, this.#wildcards.get(node)! + 1, true);
    }
  }

  /**
   * The types that a name has records of, with their answers; those of addresses behind a service are its own. SOA is the
   * workers': who is told of another serial asks for it (RFC 1996 3.11), perhaps before all is laid out anew.
   */
  #kindsOf(node: Node): { type: number; ready: number }[] {
    const types = [...(node.records?.keys() ?? []), ...(node.parent === null ? [Type.SOA, Type.NS] : [])];
    const passed = (type: number): boolean => type === Type.SOA || node.follows(type);
    return types.map((type) => ({ type, ready: passed(type) ? 0 : this.#readyOf(node.answer(type)!) }));
  }

  /** 0 for one that the program cannot give. */
  #readyOf(template: Template): number {
    let known = this.#ready.get(template);
    if (known === undefined) {
      const bytes = encodeReady(template);
      known = bytes === null ? 0 : this.#draft.add(bytes);
      this.#ready.set(template, known);
    }
    return known;
  }
}
