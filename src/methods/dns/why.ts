import type { Geography, Service } from "../../core/service.ts";
import type { Snapshot } from "../../core/snapshot.ts";
import { parsePrefix, readAddress } from "../../geo/prefix.ts";
import { type PrefixTrie, trieOf } from "../../geo/trie.ts";
import { Flag, Rcode, Type } from "../../protocols/dns/numbers.ts";
import { bodyLimit, bodyStart, finish } from "../../protocols/dns/respond.ts";
import { explain } from "./explain.ts";
import type { DnsOptions, DnsSettings } from "./options.ts";
import type { Question } from "./question.ts";

/** Octets of a character string in TXT, at most. */
const MOST_TEXT = 255;
/** Of the record before its data: a pointer to the question, type, class, TTL, length. */
const RECORD = 12;

/** What the answers to a question of class CH hang on. */
export interface WhyState {
  services: readonly Service<DnsOptions>[];
  settings: DnsSettings;
  geography: Geography;
  seed: number;
  snapshot(service: string): Snapshot;
}

/** Says why a service's name is answered as it is, to those who may know: TXT in class CH, at that name. */
export class Why {
  private readonly state: WhyState;
  private readonly from: PrefixTrie;
  private readonly byName: ReadonlyMap<string, Service<DnsOptions>>;
  private readonly address = new Uint8Array(16);

  /** `networks`: who may ask. */
  constructor(networks: readonly string[], state: WhyState) {
    this.state = state;
    this.from = trieOf(networks.map((text) => parsePrefix(text)!));
    this.byName = new Map(state.services.map((service) => [service.name, service]));
  }

  /** May this address ask? */
  allowed(address: string): boolean {
    return this.from.find(this.address, 0, readAddress(address, this.address)).value >= 0;
  }

  /**
   * The answer about a service: a TXT record, TTL 0, a sentence in each of its strings; `client`: for whom it is asked, an
   * address or a network. What does not fit is left to TCP.
   */
  answer(question: Question, service: string, name: string, client: string): number {
    const { out, query, transport } = question;
    const texts = this.sentences(service, name, client).map((text) => Buffer.from(text).subarray(0, MOST_TEXT));
    const size = texts.reduce((sum, text) => sum + 1 + text.length, 0);
    if (RECORD + size > bodyLimit(query, transport)) return question.bare(Rcode.NOERROR, Flag.TC);
    const view = new DataView(out.buffer, out.byteOffset);
    let at = bodyStart(query);
    view.setUint16(at, 0xc00c);
    view.setUint16(at + 2, Type.TXT);
    view.setUint16(at + 4, query.class);
    view.setUint32(at + 6, 0);
    view.setUint16(at + 10, size);
    at += RECORD;
    for (const text of texts) {
      out[at] = text.length;
      out.set(text, at + 1);
      at += 1 + text.length;
    }
    return finish(out, query, transport, at, Rcode.NOERROR, Flag.AA, 1, 0, 0);
  }

  /** As `sluice explain --dns` says it, of the snapshot that this worker answers by. */
  private sentences(service: string, name: string, from: string): string[] {
    const { settings, geography, seed, snapshot } = this.state;
    const own = snapshot(service);
    // Zones of their own records do not matter to a service's name, and laying them out takes time.
    const state = {
      services: [this.byName.get(service)!],
      snapshots: [own],
      settings: { ...settings, zones: [] },
      geography,
      seed,
    };
    const v6 = own.backends.length > 0 && own.backends.every(({ address }) => address.includes(":"));
    const told = explain(state, { name, from, type: v6 ? "AAAA" : "A" });
    const lines = told.ok ? told.value : told.problems.map(({ message }) => message);
    return [...lines.map((line) => line.trim()), `revision ${own.revision}, generation ${own.generation}`];
  }
}
