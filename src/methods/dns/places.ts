import { z } from "zod";
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
  networks: z.array(network).max(1_000_000).default([]).describe("Clients in these networks; the longest one decides."),
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
    for (const [name, { networks, next }] of Object.entries(given)) {
      next.forEach((other, i) => {
        if (Object.hasOwn(given, other)) return;
        context.addIssue({
          code: "custom",
          path: [name, "next", i],
          message: `There is no place ${JSON.stringify(other)}.`,
        });
      });
      networks.forEach((text, i) => {
        const owner = seen.get(text);
        seen.set(text, name);
        if (owner === undefined) return;
        const message = `${text} stands in ${JSON.stringify(owner)} already: a network is in one place.`;
        context.addIssue({ code: "custom", path: [name, "networks", i], message });
      });
    }
  })
  .describe(
    "Groups of clients by network; services with `nearest` answer each with the backends that have its name as a tag.",
  );

export type PlaceSettings = z.output<typeof places>;

/** The places in the order of the configuration; their index is their number in the trie. */
export const placesOf = (settings: PlaceSettings): Place[] =>
  Object.entries(settings).map(([name, { next }]) => ({ name, order: [...new Set([name, ...next])] }));

/** Place numbers by network, compacted so that scopes are as wide as they can be; null without places. */
export function placeTrie(settings: PlaceSettings): PrefixTrie | null {
  const all = Object.values(settings);
  if (all.length === 0) return null;
  const trie = new PrefixTrie();
  for (const [i, { networks }] of all.entries()) for (const text of networks) trie.set(parsePrefix(text)!, i);
  return trie.compact();
}
