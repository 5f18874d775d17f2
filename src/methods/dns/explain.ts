import { addressOctets, parseAddress } from "../../core/address.ts";
import { type Backend, backendName } from "../../core/backend.ts";
import type { Explained, ServiceCells, WorkerDoors } from "../../core/method.ts";
import { configProblem, ok, type Result, refuse } from "../../core/problem.ts";
import type { Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import { placesOf, placeTrie } from "../../geo/places.ts";
import { ClientAddress, parsePrefix, prefixText } from "../../geo/prefix.ts";
import { nameToWire, wireToName } from "../../protocols/dns/name.ts";
import { Type } from "../../protocols/dns/numbers.ts";
import { Query } from "../../protocols/dns/query.ts";
import { typeName, typeNumber } from "../../protocols/dns/record-types.ts";
import { createBalancer } from "../../schedulers/follow.ts";
import { schedulers } from "../../schedulers/list.ts";
import { Chain } from "./chain.ts";
import { Client } from "./client.ts";
import { type CompiledDns, compile, nextChange } from "./compile.ts";
import { createLive, type LiveService } from "./live-service.ts";
import type { Node } from "./node.ts";
import type { DnsOptions, DnsSettings } from "./options.ts";
import { Site } from "./site.ts";
import { type Rrset, targetOf } from "./static-zone.ts";
import { judgeNest, nestOf } from "./steering/judged.ts";
import { goesBy } from "./steering/plan.ts";
import type { Nest } from "./steering/schema.ts";
import { reach, tellGroups, tellLacking, tellReached } from "./steering/tell.ts";

const silent: ServiceCells = { add() {}, activeEverywhere: () => 0, queuedEverywhere: () => 0 };

interface Asker {
  bytes: Uint8Array;
  text: string;
}

/** Says why a question gets its answer: the way to the records, the place, each backend's part, the time to live. */
export function explain(state: Explained, question: Readonly<Record<string, string>>): Result<string[]> {
  const { name = "", type: typeWord = "A", from } = question;
  const wire = nameToWire(name);
  const type = typeNumber(typeWord);
  const client = from === undefined ? null : askerOf(from);
  if (wire === null) return wrong("name", `${JSON.stringify(name)} is not a domain name.`);
  if (type === null) return wrong("type", `${JSON.stringify(typeWord)} is not a type of record.`);
  if (from !== undefined && client === null)
    return wrong("from", `${JSON.stringify(from)} is not an address or a network.`);
  return ok(new Explanation(state, type, client).of(wire));
}

const wrong = (key: string, message: string): Result<never> =>
  refuse(configProblem("SLUICE_CONFIG_VALUE", [key], message));

function askerOf(text: string): Asker | null {
  const address = parseAddress(text);
  const prefix = parsePrefix(text);
  if (address !== null) return { bytes: addressOctets(address), text: address };
  return prefix && { bytes: prefix.bytes, text: prefixText(prefix) };
}

class Explanation {
  private readonly state: Explained;
  private readonly type: number;
  private readonly client: Asker | null;
  private readonly settings: DnsSettings;
  private readonly live: Map<string, LiveService>;
  private readonly site: Site;
  private readonly lines: string[] = [];

  constructor(state: Explained, type: number, client: Asker | null) {
    this.state = state;
    this.type = type;
    this.client = client;
    this.settings = state.settings as DnsSettings;
    const services = state.services as Service<DnsOptions>[];
    this.live = createLive(services, state.seed, this.doors(), placesOf(this.state.geography));
    this.site = new Site([...this.live.values()], this.settings, 0);
  }

  /** Fixed snapshots, nothing counted. */
  private doors(): WorkerDoors {
    const { services, snapshots, seed } = this.state;
    const balancer = (name: string) => {
      const { scheduler } = services.find((service) => service.name === name)!;
      const definition = schedulers.find((known) => known.name === scheduler.name) ?? schedulers[0]!;
      const snapshot = snapshots.find((s) => s.service === name)!;
      const load = (id: number): number => snapshot.backends.find((backend) => backend.id === id)?.load ?? 0;
      const env = { random: () => 0, now: () => 0, load, seed };
      return createBalancer(definition, scheduler.options, env, snapshot);
    };
    const crowd = { keyOf: () => 0, enter: () => 0, leave() {} };
    return { balancer, cells: () => silent, crowd, observed() {}, wanted() {}, log() {}, now: () => 0 };
  }

  /** The way from a name to its answer, a sentence each. */
  of(wire: Uint8Array): string[] {
    const chain = new Chain(this.site);
    let name = wire;
    this.say(`${wireToName(wire)} ${typeName(this.type)}${this.client ? ` for ${this.client.text}` : ""}`);
    for (let step = 0; step < 16; step++) {
      const found = chain.find(name, this.type);
      const text = wireToName(name);
      if (found.kind === "foreign") {
        this.say(`${text} is in no zone of this server${step === 0 ? ": REFUSED." : ": the resolver asks elsewhere."}`);
        return this.lines;
      }
      if (found.kind === "cut") return this.referral(text, found.node.records!.get(Type.NS)!);
      if (found.kind === "nothing") {
        this.say(`${text} does not exist in the zone ${wireToName(found.zone.apex)}: NXDOMAIN.`);
        return this.lines;
      }
      const next = found.kind === "dname" ? this.renamed(name, found.set) : this.atNode(found.node, name);
      if (next === null) return this.lines;
      name = next;
    }
    this.say("Aliases go round: the answer ends here.");
    return this.lines;
  }

  private say(line: string): void {
    this.lines.push(this.lines.length === 0 ? line : `  ${line}`);
  }

  private referral(text: string, { owner, rdata }: Rrset): string[] {
    const servers = rdata.map((data) => wireToName(targetOf(data))).join(", ");
    this.say(`${text} is delegated at ${wireToName(owner)}: a referral to ${servers}.`);
    return this.lines;
  }

  private renamed(name: Uint8Array, set: Rrset): Uint8Array {
    const target = targetOf(set.rdata[0]!);
    const next = Uint8Array.from([...name.subarray(0, name.length - set.owner.length), ...target]);
    this.say(`${wireToName(set.owner)} is a DNAME: ${wireToName(name)} leads to ${wireToName(next)}.`);
    return next;
  }

  /** The name that an alias leads to; null when the answer is told. */
  private atNode(node: Node, name: Uint8Array): Uint8Array | null {
    const text = wireToName(name);
    const how = this.site.at(name) === node ? "" : ` by the wildcard right below ${wireToName(this.encloserOf(name))}`;
    if (node.service !== null && (this.type === Type.A || this.type === Type.AAAA)) {
      this.say(`${text} is answered by the service "${node.service.name}"${how}.`);
      this.service(node.service.name);
      return null;
    }
    const alias = this.type === Type.CNAME ? undefined : node.rrset(Type.CNAME);
    const set = node.rrset(this.type);
    if (alias !== undefined) {
      const target = targetOf(alias.rdata[0]!);
      this.say(`${text} is an alias${how} of ${wireToName(target)}, for ${alias.ttl} s.`);
      return target;
    }
    if (set === undefined) this.say(`${text} exists${how}, without ${typeName(this.type)}: NODATA.`);
    else this.say(`${text} has ${set.rdata.length} ${typeName(this.type)} of its zone${how}, for ${set.ttl} s.`);
    return null;
  }

  private encloserOf(name: Uint8Array): Uint8Array {
    let up = name;
    do up = up.subarray(up[0]! + 1);
    while (this.site.at(up) === undefined);
    return up;
  }

  private service(name: string): void {
    const { services, snapshots, seed } = this.state;
    const service = services.find((s) => s.name === name) as Service<DnsOptions>;
    const snapshot = snapshots.find((s) => s.service === name)!;
    const v6 = this.type === Type.AAAA;
    const nest = nestOf(service, snapshot, placesOf(this.state.geography));
    const client = this.asClient();
    if (nest !== null) this.groups(service, nest, snapshot);
    const plan = this.live.get(name)!.plan();
    const reached = reach(plan, client, service.options.network, seed, v6 ? "v6" : "v4");
    if (nest !== null) {
      const all = reach(plan, client, service.options.network, seed, null);
      const lacking = tellLacking(all, reached, v6);
      if (lacking !== null) this.say(lacking);
      this.say(tellReached(reached));
    }
    const parts = reached.map(({ leaf }) => compile(service, leaf.snapshot));
    const chosen = new Set(parts.flatMap((part) => (v6 ? part.v6 : part.v4).map(({ id }) => id)));
    const inside = new Set(reached.flatMap(({ leaf }) => leaf.snapshot.backends.map(({ id }) => id)));
    const eligible = new Set(reached.flatMap(({ leaf }) => leaf.snapshot.eligible));
    for (const backend of snapshot.backends)
      this.say(`  ${this.backend(backend, chosen, { inside, eligible }, v6, parts[0]!.rule)}`);
    if (parts[0]!.rule === "fallback")
      this.say(`  fallback: ${(v6 ? parts[0]!.v6 : parts[0]!.v4).map((t) => t.address).join(", ")}`);
    for (const [i, part] of parts.entries())
      this.many(service, part, reached.length > 1 ? reached[i]!.leaf.path : null);
    this.kept(service, parts[0]!, snapshot);
  }

  private asClient(): Client | null {
    if (this.client === null) return null;
    const client = new Client(this.state.seed, placeTrie(this.state.geography), false);
    client.begin(new Query(), new ClientAddress().read(this.client.text.split("/")[0]!));
    return client;
  }

  /** The groups, and which place the client is in when that matters. */
  private groups(service: Service<DnsOptions>, nest: Nest, snapshot: Snapshot): void {
    if (service.nearest || goesBy(nest, "nearest")) this.place();
    if (goesBy(nest, "hash") && this.client === null)
      this.say("It goes by the client's network; no client was named (--from), so all groups are looked at.");
    const judged = judgeNest(nest, snapshot, service.options.upThreshold, true);
    this.say(`Groups, ${nest.by}:`);
    for (const line of tellGroups(judged)) this.say(`  ${line}`);
    if (!judged.good) this.say("All groups have failed: whoever is left in them is answered, without thresholds.");
  }

  /** Which place the client is in. */
  private place(): void {
    const places = placesOf(this.state.geography);
    const trie = placeTrie(this.state.geography);
    if (this.client === null || trie === null) {
      this.say("It goes by place; no client was named (--from), so it is taken to be in none.");
      return;
    }
    const { bytes } = this.client;
    const { value, scope } = trie.find(bytes, 0, bytes.length);
    const bits = `(by its first ${scope} bits)`;
    if (value < 0) this.say(`${this.client.text} is in no place ${bits}.`);
    else {
      const { name, order } = places[value]!;
      this.say(`${this.client.text} is in "${name}" ${bits}; order: ${order.join(", ")}.`);
    }
  }

  private backend(
    backend: Backend,
    chosen: ReadonlySet<number>,
    part: { inside: ReadonlySet<number>; eligible: ReadonlySet<number> },
    v6: boolean,
    rule: string,
  ): string {
    const name = `${backendName(backend)} ${backend.state}`;
    if (chosen.has(backend.id))
      return `${name}, weight ${backend.weight}: answered${rule === "rotated" ? " as if it were up" : ""}`;
    if (!part.inside.has(backend.id)) return `${name}: of another group`;
    if (backend.state !== "up" && backend.state !== "unchecked") return `${name}: not answered`;
    if (backend.weight === 0) return `${name}: weight 0`;
    if (!part.eligible.has(backend.id)) return `${name}: tier ${backend.tier}, while a lower one has somebody`;
    return backend.address.includes(":") === v6 ? `${name}: not answered` : `${name}: of the other kind of address`;
  }

  /** How many addresses, in which order. */
  private many({ options, scheduler }: Service<DnsOptions>, part: CompiledDns, group: string | null): void {
    const count = new Set((this.type === Type.AAAA ? part.v6 : part.v4).map(({ address }) => address)).size;
    const of = group === null ? "" : ` of "${group}"`;
    if (count === 0) {
      const why =
        part.rule === "steered" || part.rule === "fallback"
          ? `none of this kind of address${part.rule === "steered" ? " is eligible" : " is a fallback"}`
          : `nobody is eligible, and empty is "${options.empty}"`;
      this.say(part.rule === "servfail" ? `SERVFAIL: ${why}.` : `NODATA${of}: ${why}.`);
      return;
    }
    const many = Math.min(count, options.answers ?? count);
    const by = part.rule === "steered" ? `in the order of ${scheduler.name}` : "in turn";
    this.say(`${many} of ${count} address${count === 1 ? "" : "es"}${of}, ${by}.`);
  }

  /** For how long, where there is anything to keep. */
  private kept({ options: { ttl } }: Service<DnsOptions>, part: CompiledDns, { outlook }: Snapshot): void {
    if ((this.type === Type.AAAA ? part.v6 : part.v4).length === 0) return;
    const why =
      typeof ttl === "number"
        ? "as configured"
        : outlook === undefined
          ? "the most allowed: nothing is checked"
          : !outlook.steady
            ? "the least allowed: a backend is on its way to another state"
            : `${outlook.word === nextChange(outlook) ? "an operator's word ends" : "checks could change it"} in ${nextChange(outlook) / 1000} s at the soonest`;
    this.say(`To be kept for ${part.ttl} s: ${why}.`);
  }
}
