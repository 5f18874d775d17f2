import { readFileSync } from "node:fs";
import { SluiceError } from "../core/problem.ts";
import type { Geography } from "../core/service.ts";
import { type Area, GeoDatabase } from "./mmdb.ts";
import { parsePrefix, readAddress } from "./prefix.ts";
import { PrefixTrie } from "./trie.ts";

/** A group of clients and of the backends that are near to them. */
export interface Place {
  name: string;
  /** Its own name, then those to turn to, in order. */
  order: string[];
}

/** The places in the order of the configuration; their index is their number in the trie. */
export const placesOf = ({ places }: Geography): Place[] =>
  Object.entries(places).map(([name, { next }]) => ({ name, order: [...new Set([name, ...next])] }));

/**
 * Place numbers by network, compacted so that scopes are as wide as they can be; null without places. Throws
 * SLUICE_GEO_UNREADABLE when the database cannot be read any more.
 */
export function placeTrie({ places, geo }: Geography): PrefixTrie | null {
  const all = Object.values(places);
  if (all.length === 0) return null;
  const trie = new PrefixTrie();
  if (geo !== undefined) {
    const byCountry = new Map(all.flatMap(({ countries }, i) => countries.map((country) => [country, i] as const)));
    const byContinent = new Map(all.flatMap(({ continents }, i) => continents.map((c) => [c, i] as const)));
    fill(geo, trie, ({ country, continent }) => byCountry.get(country ?? "") ?? byContinent.get(continent ?? "") ?? -1);
  }
  // Wide ones first: each takes what the database says within it, and longer ones stand in wider ones.
  const written = all.flatMap(({ networks }, i) => networks.map((text) => ({ prefix: parsePrefix(text)!, place: i })));
  written.sort((a, b) => a.prefix.length - b.prefix.length);
  for (const { prefix, place } of written) trie.cover(prefix, place);
  return trie.compact();
}

/** Countries by network, as `countryText` reads them; null without a database. Throws as `placeTrie` does. */
function countryTrie({ geo }: Geography): PrefixTrie | null {
  if (geo === undefined) return null;
  const trie = new PrefixTrie();
  fill(geo, trie, ({ country }) => (country === null ? -1 : (country.charCodeAt(0) << 8) | country.charCodeAt(1)));
  return trie.compact();
}

function fill({ file }: NonNullable<Geography["geo"]>, trie: PrefixTrie, toValue: (area: Area) => number): void {
  try {
    new GeoDatabase(readFileSync(file)).fill(trie, toValue);
  } catch (error) {
    const message = `the database of places cannot be read: ${(error as Error).message}`;
    const problem = {
      code: "SLUICE_GEO_UNREADABLE",
      severity: "error",
      source: "config",
      path: ["geo"],
      message,
    } as const;
    throw new SluiceError(problem, error);
  }
}

/** `DE`; empty for -1, the value of what no country is known of. */
const countryText = (value: number): string => (value < 0 ? "" : String.fromCharCode(value >> 8, value & 0xff));

/** Where clients are, for a worker that asks by the text of their addresses. A look-up of an IPv4 address allocates nothing. */
export class Atlas {
  readonly places: readonly Place[];
  private readonly geography: Geography;
  /** Undefined: not read yet. */
  private trie: PrefixTrie | null | undefined = undefined;
  private countries: PrefixTrie | null | undefined = undefined;
  private readonly octets = new Uint8Array(16);

  /** Nothing is read before somebody asks, or says that he will. */
  constructor(geography: Geography) {
    this.geography = geography;
    this.places = placesOf(geography);
  }

  /** Is there a database, so that countries are known? */
  get located(): boolean {
    return this.geography.geo !== undefined;
  }

  /** Reads the database, so that no question waits for it. Throws as `placeTrie` does. */
  ready(countries = false): void {
    if (this.trie === undefined) this.trie = placeTrie(this.geography);
    if (countries && this.countries === undefined) this.countries = countryTrie(this.geography);
  }

  /** The number of the place that an address is in; -1: none. */
  placeOf(address: string): number {
    this.ready();
    return find(this.trie!, address, this.octets);
  }

  /** ISO 3166-1 letters of the country that an address is in; empty: not known. */
  countryOf(address: string): string {
    this.ready(true);
    return countryText(find(this.countries!, address, this.octets));
  }
}

const find = (trie: PrefixTrie | null, address: string, octets: Uint8Array): number =>
  trie === null ? -1 : trie.find(octets, 0, readAddress(address, octets)).value;
