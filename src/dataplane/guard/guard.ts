import { SluiceError } from "../../core/problem.ts";
import type { GuardLists, Rate } from "../../core/service.ts";
import { type Prefix, parsePrefix } from "../../geo/prefix.ts";
import { BpfObject, bpfError, createTrie, deleteElement, updateBatch, updateElement } from "../../system/libbpf.ts";
import { closeFd } from "../../system/net.ts";
import type { Entry } from "../attach.ts";
import { ensureBuilt, objectPath } from "../build.ts";
import { limits as at, guard as guardAt, Limit, List, listKey } from "../generated/layout.ts";
import { elementBytes, getWord, type MappedArray, mapArray, setWord } from "../memory.ts";
import type { Pins } from "../pins.ts";
import { readListFile } from "./list-file.ts";
import type { Limits } from "./schema.ts";

const guardMaps = ["guard_words", "limits", "sources", "proofs", "lists"] as const;
const first = new Uint8Array(4);
/** Networks that are written at a time; between two such steps the loop runs. */
const STEP = 4096;
const KEY = listKey.size;
const UNITS_PER_SECOND = 1e9 / 2 ** Limit.RATE_SHIFT;
const MOST = 2 ** 32 - 1;

/** What stands in the kernel for a rate: units from one to the next, and how far ahead of its time one may be. */
function toRate(rate: Rate | undefined): { interval: number; burst: number } {
  if (rate === undefined) return { interval: 0, burst: 0 };
  const { rate: perSecond, burst = perSecond } = typeof rate === "number" ? { rate } : rate;
  const interval = Math.max(1, Math.round(UNITS_PER_SECOND / perSecond));
  return { interval, burst: Math.min(MOST - interval, (burst - 1) * interval) };
}

/** Bytes of a `struct rate`. */
export const RATE_BYTES = 8;

/** Writes a `struct rate` into an element, `offset` bytes from its start. */
export function writeRate(array: MappedArray, element: number, offset: number, rate: Rate | undefined): void {
  const { interval, burst } = toRate(rate);
  setWord(array, element, offset, interval);
  setWord(array, element, offset + RATE_BYTES / 2, burst);
}

/** Has a service any limit? */
export const limited = (limits: Limits | undefined): boolean =>
  limits !== undefined && (limits.packetsPerSource ?? limits.connectionsPerSource ?? limits.connections) !== undefined;

/** A list trie that is filled and not yet in force. */
export interface StagedLists {
  key: string;
  /** Null: no lists. */
  trie: number | null;
  counts: { allowed: number; blocked: number };
}

/** One network's key: 16 bytes of address behind the number of bits. */
function writeKey(keys: Uint8Array, i: number, { bytes, length }: Prefix): void {
  const four = bytes.length === 4;
  new DataView(keys.buffer).setUint32(i * KEY, four ? 96 + length : length, true);
  if (four) keys.set([0xff, 0xff], i * KEY + listKey.address + 10);
  keys.set(bytes, i * KEY + listKey.address + 16 - bytes.length);
}

/** All networks of the lists, with what they say; of one that stands on both lists, `allow` is the last word. */
function networksOf(lists: GuardLists): { prefix: Prefix; word: number }[] {
  const of = (networks: readonly string[], files: GuardLists["blockFiles"], word: number) =>
    [...networks.map((text) => parsePrefix(text)!), ...files.flatMap(({ file }) => readListFile(file))].map(
      (prefix) => ({ prefix, word }),
    );
  return [
    ...of(lists.block, lists.blockFiles, List.LIST_BLOCKED),
    ...of(lists.allow, lists.allowFiles, List.LIST_ALLOWED),
  ];
}

/**
 * The place before the balancer: lists and limits. Its program is loaded when something first needs it and unplugged when
 * nothing does any more; interfaces then run the balancer itself again.
 */
export class Guard {
  readonly #pins: Pins;
  readonly #entry: Entry;
  readonly #shared: readonly string[];
  #object: BpfObject | null = null;
  #words: MappedArray | null = null;
  #limits: MappedArray | null = null;
  /** Lists in force, as text to compare. */
  #inForce = "";
  #counts: StagedLists["counts"] = { allowed: 0, blocked: 0 };
  #plugged = false;

  /** `shared`: maps of the balancer that this program reads. */
  constructor(pins: Pins, entry: Entry, shared: readonly string[]) {
    this.#pins = pins;
    this.#entry = entry;
    this.#shared = shared;
  }

  /**
   * Everything that can fail: loads the program, reads list files, fills a trie beside the one in force. Null when the
   * lists are those in force. Throws SluiceError (SLUICE_BPF_LOAD, SLUICE_BPF_MEMORY,
   * SLUICE_CONFIG_READ).
   */
  async stage(lists: GuardLists | undefined, limits: boolean): Promise<StagedLists | null> {
    const key = lists === undefined ? "" : JSON.stringify({ ...lists, errors: undefined });
    const networks = lists === undefined ? [] : listed(lists);
    if (networks.length > 0 || limits) this.#load();
    if (key === this.#inForce) return null;
    if (networks.length === 0) return { key, trie: null, counts: { allowed: 0, blocked: 0 } };
    const trie = createTrie("sluice_list", KEY, 4, Limit.LIST_ENTRIES);
    try {
      await fill(trie, networks);
    } catch (error) {
      closeFd(trie);
      throw error;
    }
    const allowed = networks.filter(({ word }) => word === List.LIST_ALLOWED).length;
    return { key, trie, counts: { allowed, blocked: networks.length - allowed } };
  }

  /** Instead of `apply`. */
  abandon(staged: StagedLists | null): void {
    if (staged?.trie) closeFd(staged.trie);
  }

  /** Puts staged lists and these services' limits in force, by service number; plugs or unplugs the program. */
  apply(staged: StagedLists | null, services: ReadonlyMap<number, Limits | undefined>): void {
    if (staged) this.#setLists(staged);
    const listed = this.#counts.allowed + this.#counts.blocked > 0;
    const needed = services.size > 0 && (listed || [...services.values()].some(limited));
    if (needed) this.#load();
    // An earlier daemon may have left some.
    if (this.#words) setWord(this.#words, 0, guardAt.lists, listed ? 1 : 0);
    if (this.#limits)
      for (let number = 0; number < Limit.MAX_SERVICES; number++) this.#write(number, services.get(number));
    if (needed === this.#plugged && (needed || !this.#entry.taken("PLACE_GUARD"))) return;
    if (needed) this.#entry.plug("PLACE_GUARD", this.#object!.programFd("guard"));
    else this.#entry.unplug("PLACE_GUARD");
    this.#plugged = needed;
  }

  /** For status: `guard: 2 networks blocked, 1 allowed`. */
  describe(): string[] {
    const { allowed, blocked } = this.#counts;
    return allowed + blocked === 0 ? [] : [`guard: ${blocked} networks blocked, ${allowed} allowed`];
  }

  /** As `BpfObject.restorePins`. */
  restorePins(): void {
    this.#object?.restorePins();
  }

  close(): void {
    this.#object?.close();
  }

  #load(): void {
    if (this.#object) return;
    ensureBuilt();
    const object = new BpfObject(objectPath("guard"));
    for (const name of [...this.#shared, ...guardMaps]) object.setPinPath(name, `${this.#pins.maps}/${name}`);
    object.setPinPath("places", this.#pins.places);
    object.load();
    this.#object = object;
    this.#words = mapArray(object.mapFd("guard_words"), guardAt.size, 1);
    this.#limits = mapArray(object.mapFd("limits"), at.size, Limit.MAX_SERVICES);
    const secret = new Uint8Array(this.#words.bytes.buffer, guardAt.secret, 16);
    // One that an earlier daemon made stays: proofs given to it hold.
    if (secret.every((byte) => byte === 0)) crypto.getRandomValues(secret);
  }

  #setLists({ key, trie, counts }: StagedLists): void {
    if (trie !== null) {
      updateElement(this.#object!.mapFd("lists"), first, new Uint8Array(Uint32Array.of(trie).buffer));
      closeFd(trie);
    } else if (this.#object) deleteElement(this.#object.mapFd("lists"), first);
    this.#inForce = key;
    this.#counts = counts;
  }

  #write(number: number, limits: Limits | undefined): void {
    const array = this.#limits!;
    const used = limited(limits);
    if (!used && getWord(array, number, at.used) === 0) return;
    if (!used) {
      elementBytes(array, number).fill(0);
      return;
    }
    writeRate(array, number, at.sourcePackets, limits?.packetsPerSource);
    writeRate(array, number, at.sourceConnections, limits?.connectionsPerSource);
    writeRate(array, number, at.connections, limits?.connections);
    setWord(array, number, at.prove, limits?.prove ? 1 : 0);
    setWord(array, number, at.used, 1);
  }
}

/** The lists' networks; a file that is not to be read, or more than there is room for, is a SluiceError. */
function listed(lists: GuardLists): { prefix: Prefix; word: number }[] {
  let networks: ReturnType<typeof networksOf>;
  try {
    networks = networksOf(lists);
  } catch (error) {
    throw refusal("SLUICE_CONFIG_READ", `a list of networks cannot be read: ${(error as Error).message}`);
  }
  if (networks.length <= Limit.LIST_ENTRIES) return networks;
  throw refusal("SLUICE_CONFIG_IMPOSSIBLE", `the lists hold ${networks.length} networks; ${Limit.LIST_ENTRIES} fit`);
}

const refusal = (code: "SLUICE_CONFIG_READ" | "SLUICE_CONFIG_IMPOSSIBLE", message: string): SluiceError =>
  new SluiceError({ code, severity: "error", source: "config", path: ["guard"], message });

async function fill(trie: number, networks: readonly { prefix: Prefix; word: number }[]): Promise<void> {
  for (let from = 0; from < networks.length; from += STEP) {
    const some = networks.slice(from, from + STEP);
    const keys = new Uint8Array(some.length * KEY);
    const words = new Uint32Array(some.length);
    some.forEach(({ prefix, word }, i) => {
      writeKey(keys, i, prefix);
      words[i] = word;
    });
    if (!updateBatch(trie, keys, new Uint8Array(words.buffer), some.length))
      throw bpfError("SLUICE_BPF_MEMORY", "the kernel has no room for the lists");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
