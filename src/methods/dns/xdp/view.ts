import type { Service } from "../../../core/service.ts";
import type { Snapshot } from "../../../core/snapshot.ts";
import type { Place } from "../../../geo/places.ts";
import { isWildcard, wireToName } from "../../../protocols/dns/name.ts";
import { Type } from "../../../protocols/dns/numbers.ts";
import type { Template } from "../../../protocols/dns/template.ts";
import { schedulers } from "../../../schedulers/list.ts";
import { type CompiledDns, compile } from "../compile.ts";
import type { Node } from "../node.ts";
import type { DnsOptions } from "../options.ts";
import type { Site } from "../site.ts";
import { goesBy, type Leaf, planOf } from "../steering/plan.ts";
import { DnsLimit, DnsNode, DnsSet, dnsKind, dnsNode, dnsSet } from "./layout.ts";
import { blockSize, encodeBlock, encodeReady, type First, type Manner } from "./records.ts";
import { Draft, UNIT } from "./store.ts";
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
  if (count > DnsLimit.DNS_SET_ADDRESSES || shown > DnsLimit.DNS_BODY_MOST) return "pass";
  return encodeBlock(firsts, compiled.ttl, manner);
}

/** Octets that a set can ever need with these backends, 0 when it would pass. */
function roomFor(snapshot: Snapshot, v6: boolean): number {
  const all = new Set(snapshot.backends.flatMap(({ address }) => (address.includes(":") === v6 ? [address] : [])));
  return all.size === 0 ? 0 : blockSize(Math.min(all.size, DnsLimit.DNS_SET_ADDRESSES), v6);
}

/** One service in the view. */
export interface ViewService {
  service: Service<DnsOptions>;
  drawable: boolean;
  /** The reference of its sets. */
  set: number;
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
  /** The service that each name is of; null: none. */
  owners: (ViewService | null)[];
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
    owners: [],
    services: [],
    counters: firstCounter,
  };
  const owners = new Map<string, ViewService>();
  // Sets lie close together, in few pages of memory: a query reads one beside a name from anywhere.
  for (const [i, service] of services.entries()) {
    if (i % STEP === STEP - 1) await pause();
    owners.set(service.name, addService(view, service, snapshotOf(service.name), places));
  }
  const ownerOf = ({ service }: Node): ViewService | null => (service === null ? null : owners.get(service.name)!);
  const writer = new NodeWriter(draft, ownerOf, signed);
  const nodes: [Uint8Array, Node][] = [];
  site.each((wire, node) => nodes.push([wire, node]));
  for (const [i, [wire, node]] of nodes.entries()) {
    if (i % STEP === STEP - 1) await pause();
    view.names.push(wire);
    view.nodes.push(writer.write(wire, node));
    view.owners.push(ownerOf(node));
  }
  writer.linkWildcards();
  return view;
}

/** Adds a service with its sets. */
function addService(
  view: View,
  service: Service<DnsOptions>,
  snapshot: Snapshot,
  places: readonly Place[],
): ViewService {
  const can = drawable(service);
  const sets: SetBytes[] = can ? setsOf(service, snapshot, places) : ["pass", "pass"];
  const most = can ? [false, true].map((v6) => roomFor(snapshot, v6)) : [0, 0];
  const rooms = grouped(service, places) ? most.map((room, i) => roomForTree(room, sets[i]!)) : most;
  const ids = snapshot.backends.map(({ id }) => id);
  const set = placeSets(view.draft, view.counters, sets, rooms);
  const added = { service, drawable: can, set, counter: view.counters, ids, rooms };
  view.services.push(added);
  view.counters += ids.length + 1;
  return added;
}

/** The reference of a service's sets: the first is one record with what leads to both. */
function placeSets(draft: Draft, counter: number, sets: readonly SetBytes[], rooms: readonly number[]): number {
  const first = sets.findIndex((set) => typeof set !== "string");
  const head = new Uint8Array(dnsSet.size + (first < 0 ? 0 : sets[first]!.length));
  if (first >= 0) head.set(sets[first] as Uint8Array, dnsSet.size);
  const reference = draft.add(head, dnsSet.size + (first < 0 ? 0 : rooms[first]!));
  const bytes = draft.at(reference);
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  words.setUint32(dnsSet.counter, counter, true);
  for (const [i, set] of sets.entries()) {
    const none = set === "none" ? DnsSet.DNS_SET_NONE : DnsSet.DNS_SET_PASS;
    const place = i === first ? reference + dnsSet.size / UNIT : null;
    const at = i === 0 ? dnsSet.v4 : dnsSet.v6;
    words.setUint32(at, typeof set === "string" ? none : (place ?? draft.add(set, rooms[i])), true);
  }
  return reference;
}

/** Groups that fail or come back make a tree larger or smaller; one that outgrows this has all laid out anew. */
const roomForTree = (room: number, set: SetBytes): number =>
  Math.max(room, Math.min(MOST_TREE, typeof set === "string" ? 0 : set.length * 2));

/** Writes the records of names. Ready answers that many names share are written once. */
class NodeWriter {
  readonly #draft: Draft;
  readonly #ownerOf: (node: Node) => ViewService | null;
  readonly #signed: ReadonlySet<string>;
  readonly #ready = new Map<Template, number>();
  /** Names with a wildcard below them, and where each wildcard is. */
  readonly #above: [number, Node][] = [];
  readonly #wildcards = new Map<Node, number>();

  constructor(draft: Draft, ownerOf: (node: Node) => ViewService | null, signed: ReadonlySet<string>) {
    this.#draft = draft;
    this.#ownerOf = ownerOf;
    this.#signed = signed;
  }

  /** The reference of a name's record. */
  write(wire: Uint8Array, node: Node): number {
    const kinds = this.#kindsOf(node);
    const padded = (wire.length + 7) & ~7;
    const out = new Uint8Array(dnsNode.size + padded + kinds.length * dnsKind.size);
    const view = new DataView(out.buffer);
    const { zone, records, cut } = node;
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
    view.setUint32(dnsNode.set, this.#ownerOf(node)?.set ?? 0, true);
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
