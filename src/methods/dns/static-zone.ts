import type { ZoneRecord } from "../../protocols/dns/master-file.ts";
import { isWildcard, isWithin, labelCount, wireToName } from "../../protocols/dns/name.ts";
import { Type } from "../../protocols/dns/numbers.ts";
import { typeName } from "../../protocols/dns/record-types.ts";
import type { Rdata } from "../../protocols/dns/template.ts";

/** All records of one owner and type: sent whole, with one TTL (RFC 2181 5). */
export interface Rrset {
  owner: Uint8Array;
  type: number;
  ttl: number;
  rdata: Rdata[];
}

const octetsKey = (wire: Uint8Array): string => String.fromCharCode(...wire);
const rdataKey = (rdata: Rdata): string =>
  rdata.map((part) => octetsKey(part instanceof Uint8Array ? part : part.name)).join("\u0100");

/** Records gathered by owner, then type; repeats fall out, and of several TTLs the smallest holds (RFC 2181 5.2). */
export function toRrsets(records: readonly ZoneRecord[]): Map<string, Map<number, Rrset>> {
  const byOwner = new Map<string, Map<number, Rrset>>();
  const seen = new Set<string>();
  for (const { owner, type, ttl, rdata } of records) {
    const name = octetsKey(owner);
    const key = `${name}\u0101${type}\u0101${rdataKey(rdata)}`;
    const sets = byOwner.get(name) ?? new Map<number, Rrset>();
    byOwner.set(name, sets);
    const set = sets.get(type) ?? { owner, type, ttl, rdata: [] };
    sets.set(type, set);
    set.ttl = Math.min(set.ttl, ttl);
    if (!seen.has(key)) set.rdata.push(rdata);
    seen.add(key);
  }
  return byOwner;
}

/** The name that a record of NS, CNAME or DNAME leads to. */
export function targetOf(rdata: Rdata): Uint8Array {
  const [part] = rdata;
  return part instanceof Uint8Array ? part : part!.name;
}

/** What may stand at a delegated name: the parent's own, and addresses as glue. */
const atCut: readonly number[] = [Type.NS, Type.DS, Type.A, Type.AAAA];
const glue: readonly number[] = [Type.A, Type.AAAA];

/** What keeps these records from being a zone, a sentence each; `apex` is its wire name. */
export function judgeZone(apex: Uint8Array, records: readonly ZoneRecord[]): string[] {
  const sets = toRrsets(records);
  const found: string[] = [];
  const owners = [...sets.values()].map((types) => ({ types, owner: [...types.values()][0]!.owner }));
  const isApex = (owner: Uint8Array): boolean => owner.length === apex.length && isWithin(owner, apex);
  const holders = (type: number): Map<string, Map<number, Rrset>> =>
    new Map([...sets].filter(([, types]) => types.has(type) && !isApex([...types.values()][0]!.owner)));
  const cuts = holders(Type.NS);
  const renamed = new Map([...sets].filter(([, types]) => types.has(Type.DNAME)));
  for (const { owner, types } of owners) {
    const say = (text: string): void => void found.push(`${wireToName(owner)}: ${text}`);
    if (!isWithin(owner, apex)) say(`is not within ${wireToName(apex)}`);
    else found.push(...judgeOwner(owner, types, isApex(owner)));
    if (above(owner, renamed)) say(`is below a DNAME: nothing there is ever answered (RFC 6672 2.4)`);
    const below = above(owner, cuts);
    const allowed = below ? glue : cuts.has(octetsKey(owner)) ? atCut : null;
    const wrong = allowed && [...types.keys()].find((type) => !allowed.includes(type));
    if (wrong) say(`is delegated away: ${typeName(wrong)} there is the other server's to answer`);
  }
  for (const types of cuts.values()) {
    const { owner, rdata } = types.get(Type.NS)!;
    for (const target of rdata.map(targetOf)) {
      const addressed = sets.get(octetsKey(target));
      if (isWithin(target, owner) && !addressed?.has(Type.A) && !addressed?.has(Type.AAAA))
        found.push(`${wireToName(owner)}: the name server ${wireToName(target)} lies below it and has no address here`);
    }
  }
  return found;
}

/** Octets of the largest set that is taken: with question, OPT and signatures it fits a message over TCP (RFC 1035 4.2.2). */
const MOST_SET = 64_000;

/** Octets that a set takes in a message: each record's owner as a pointer, type, class, TTL and length, then its data. */
const sizeOf = ({ rdata }: Rrset): number =>
  rdata.flat().reduce((sum, part) => sum + (part instanceof Uint8Array ? part : part.name).length, 12 * rdata.length);

function judgeOwner(owner: Uint8Array, types: Map<number, Rrset>, apex: boolean): string[] {
  const found: string[] = [];
  const say = (text: string): void => void found.push(`${wireToName(owner)}: ${text}`);
  for (const set of types.values()) {
    const size = sizeOf(set);
    if (size > MOST_SET)
      say(`its ${typeName(set.type)} take ${size} octets, and no answer can hold more than ${MOST_SET}`);
  }
  const single = [Type.SOA, Type.CNAME, Type.DNAME].filter((type) => (types.get(type)?.rdata.length ?? 0) > 1);
  for (const type of single) say(`has more than one ${typeName(type)}`);
  if (types.has(Type.SOA) && !apex) say("has an SOA, which belongs to the zone's own name");
  if (types.has(Type.CNAME) && apex) say("a zone's own name cannot be a CNAME: its SOA and NS stand there");
  else if (types.has(Type.CNAME) && types.size > 1) say("has a CNAME and other records (RFC 2181 10.1)");
  if (isWildcard(owner) && (types.has(Type.NS) || types.has(Type.DNAME)))
    say("a wildcard with NS or DNAME (RFC 4592 4.2, 4.4)");
  return found;
}

/** Is an owner of `sets` above this name? */
function above(owner: Uint8Array, sets: ReadonlyMap<string, unknown>): boolean {
  if (sets.size === 0) return false;
  let at = owner[0] === 0 ? 0 : owner[0]! + 1;
  for (let i = labelCount(owner); i > 1; i--, at += owner[at]! + 1)
    if (sets.has(octetsKey(owner.subarray(at)))) return true;
  return false;
}
