import { z } from "zod";

/** How one of several groups is chosen. */
export const policies = {
  failover: "the first one in the order written",
  weighted: "in proportion to the groups' weights, answer by answer",
  hash: "one and the same for each client network, in proportion to the weights (see network)",
  nearest: "the client's place, then those of its next, then the order written",
  latency: "the one whose backends answer their checks fastest, the first of those that are about as fast",
  load: "in proportion to weight and to what load the group's backends still take, as their agents report it",
} as const;
export type Policy = keyof typeof policies;

/** Backends that have a tag, or groups inside such a group. */
export interface Group {
  /** A tag of its backends; absent: those of the group around it. */
  tag?: string;
  weight: number;
  /** Percent of its backends that must be up, else it counts as failed; absent: as around it. */
  upThreshold?: number;
  by?: Policy;
  groups?: Group[];
}

/** Groups and how one of them is chosen. */
export interface Nest {
  by: Policy;
  groups: Group[];
}

/** Groups inside groups, below the outermost ones. */
const DEEPEST = 3;
const MOST_GROUPS = 64;

export const upThreshold = z
  .int()
  .min(0)
  .max(100)
  .describe(
    "Percent of a group's backends that must be up, else the group counts as failed. 0: one is enough. Also for the groups inside.",
  );

const by = z.enum(Object.keys(policies) as [Policy]).describe(
  `How one of the groups is chosen among those that have not failed. ${Object.entries(policies)
    .map(([name, what]) => `${name}: ${what}.`)
    .join(" ")}`,
);

const tag = z.string().min(1).max(63);

/** Text stands for a group of that tag. */
function group(depth: number): z.ZodType<Group> {
  const plain = {
    tag: tag.optional(),
    weight: z.int().min(1).max(65_535).default(1),
    upThreshold: upThreshold.optional(),
  };
  const mapping =
    depth === 0
      ? z.strictObject(plain).refine((one) => one.tag !== undefined, "needs a tag")
      : z
          .strictObject({ ...plain, by: by.optional(), groups: groups(depth - 1).optional() })
          .refine(
            (one) => (one.by === undefined) === (one.groups === undefined),
            "needs both by and groups, or neither",
          )
          .refine((one) => one.tag !== undefined || one.groups !== undefined, "needs a tag, or groups");
  const word = z.codec(tag, z.custom<Group>(), {
    decode: (text): Group => ({ tag: text, weight: 1 }),
    encode: ({ tag: text }) => text!,
  });
  return z.union([mapping, word]) as unknown as z.ZodType<Group>;
}

const groups = (depth: number) => z.array(group(depth)).min(1).max(MOST_GROUPS);

export const nest = z
  .strictObject({ by, groups: groups(DEEPEST) })
  .describe("Which backends an answer is made of: groups of them, by tag, inside each other.");
