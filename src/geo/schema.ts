import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import type { Geography } from "../core/service.ts";
import { GeoDatabase } from "./mmdb.ts";
import { parsePrefix } from "./prefix.ts";

/** A network as text, without host bits. */
export const network = z
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

/** Schema of the top-level key `places:`. Backends belong to a place by a tag of its name. */
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
          // The letters of some countries are those of continents too.
          const what = key === "continents" ? `continent ${text}` : text;
          const owner = seen.get(what);
          seen.set(what, name);
          if (owner === undefined) return;
          const message = `${text} stands in ${JSON.stringify(owner)} already: it is in one place.`;
          context.addIssue({ code: "custom", path: [name, key, i], message });
        });
    }
  })
  .describe(
    "Groups of clients by network or country, for services with `nearest` and for routes. Backends are in a place by a tag of its name.",
  );

type GeoFile = NonNullable<Geography["geo"]>;

/** Schema of the top-level key `geo:`: a file in MaxMind's format. It is opened here, so that a wrong one refuses the configuration. */
export const geo = z
  .codec(z.string().min(1), z.custom<GeoFile>(), {
    decode: (written, context): GeoFile => {
      const file = resolve(written);
      try {
        const { size, mtimeMs, ino } = statSync(file);
        if (size > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
        const { title } = new GeoDatabase(readFileSync(file));
        return { file, state: `${title}, ${size} bytes, ${mtimeMs}, ${ino}` };
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
