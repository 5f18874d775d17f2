import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { GeoDatabase } from "../../geo/mmdb.ts";
import { parsePrefix } from "../../geo/prefix.ts";
import { PrefixTrie } from "../../geo/trie.ts";

/** A group of clients and of the backends that are near to them. */
export interface Place {
  name: string;
  /** Its own name, then those to turn to, in order. */
  order: string[];
}

const network = z
  .string()
  .refine(
    (text) => parsePrefix(text) !== null,
    "must be a network such as 10.0.0.0/8, without host bits, or an address",
  );

const place = z.strictObject({
  countries: z
    .array(
      z
        .string()
        .regex(/^[A-Za-z]{2}$/, "must be a country's two letters (ISO 3166-1)")
        .toUpperCase(),
    )
    .max(300)
    .default([])
    .describe("Clients in these countries, by `geo`."),
  continents: z
    .array(z.enum(["AF", "AN", "AS", "EU", "NA", "OC", "SA"]))
    .default([])
    .describe("Clients on these continents, by `geo`; a country that stands in a place is stronger."),
  networks: z
    .array(network)
    .max(1_000_000)
    .default([])
    .describe("Clients in these networks; the longest one decides, and is stronger than `geo`."),
  next: z
    .array(z.string())
    .max(64)
    .default([])
    .describe("Places to turn to, in order, while this one has nobody eligible."),
});

/** Schema of `places:`. Backends belong to a place by a tag of its name. */
export const places = z
  .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be lower-case letters, digits and dashes"), place)
  .superRefine((given, context) => {
    const seen = new Map<string, string>();
    for (const [name, { networks, countries, continents, next }] of Object.entries(given)) {
      next.forEach((other, i) => {
        if (Object.hasOwn(given, other)) return;
        context.addIssue({
          code: "custom",
          path: [name, "next", i],
          message: `There is no place ${JSON.stringify(other)}.`,
        });
      });
      for (const [key, list] of Object.entries({ networks, countries, continents }))
        list.forEach((text, i) => {
          const owner = seen.get(text);
          seen.set(text, name);
          if (owner === undefined) return;
          const message = `${text} stands in ${JSON.stringify(owner)} already: it is in one place.`;
          context.addIssue({ code: "custom", path: [name, key, i], message });
        });
    }
  })
  .describe(
    "Groups of clients by network; services with `nearest` answer each with the backends that have its name as a tag.",
  );

/** A geographic database as the configuration names it. */
export interface GeoSettings {
  file: string;
  /** Size and time of the file: a reload after it has changed starts workers that read it anew. */
  state: string;
}

/** Schema of `geo:`: a file in MaxMind's format. It is opened here, so that a wrong one refuses the configuration. */
export const geo = z
  .codec(z.string().min(1), z.custom<GeoSettings>(), {
    decode: (written, context): GeoSettings => {
      const file = resolve(written);
      try {
        const { size, mtimeMs } = statSync(file);
        if (size > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
        const { title } = new GeoDatabase(readFileSync(file));
        return { file, state: `${title}, ${size} bytes, ${mtimeMs}` };
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        const why = code === "ENOENT" ? "there is no such file" : (code ?? message);
        context.issues.push({ code: "custom", message: `${file} is no database of places: ${why}.`, input: written });
        return z.NEVER;
      }
    },
    encode: ({ file }) => file,
  })
  .describe("A MaxMind database (.mmdb) of countries or cities, readable by all: it says where `countries` are.");

/** Largest database that is read, bytes. */
const MOST_BYTES = 2 ** 30;

export type PlaceSettings = z.output<typeof places>;

/** The places in the order of the configuration; their index is their number in the trie. */
export const placesOf = (settings: PlaceSettings): Place[] =>
  Object.entries(settings).map(([name, { next }]) => ({ name, order: [...new Set([name, ...next])] }));

/** Place numbers by network, compacted so that scopes are as wide as they can be; null without places. */
export function placeTrie(settings: PlaceSettings, geo: GeoSettings | undefined): PrefixTrie | null {
  const all = Object.values(settings);
  if (all.length === 0) return null;
  const trie = new PrefixTrie();
  if (geo !== undefined) {
    const byCountry = new Map(all.flatMap(({ countries }, i) => countries.map((country) => [country, i] as const)));
    const byContinent = new Map(all.flatMap(({ continents }, i) => continents.map((c) => [c as string, i] as const)));
    new GeoDatabase(readFileSync(geo.file)).fill(
      trie,
      ({ country, continent }) => byCountry.get(country ?? "") ?? byContinent.get(continent ?? "") ?? -1,
    );
  }
  // Wide ones first: each takes what the database says within it, and longer ones stand in wider ones.
  const written = all.flatMap(({ networks }, i) => networks.map((text) => ({ prefix: parsePrefix(text)!, place: i })));
  written.sort((a, b) => a.prefix.length - b.prefix.length);
  for (const { prefix, place } of written) trie.cover(prefix, place);
  return trie.compact();
}
