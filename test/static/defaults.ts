import { catalog } from "../../src/catalog.ts";
import { jsonSchema } from "../../src/config/schema.ts";

interface SchemaNode {
  default?: unknown;
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode | boolean;
  items?: SchemaNode;
  anyOf?: SchemaNode[];
  oneOf?: SchemaNode[];
  allOf?: SchemaNode[];
}

/** A key's path from the top of the file, `services.NAME.proxy.limits.head`, and what holds where it is not written. */
export interface Default {
  path: string;
  value: unknown;
}

/** Lists, and names that the user chooses, as a path shows them. */
const ITEM = "…";
const NAME = "NAME";

function* defaultsOf(node: SchemaNode, path: string): Generator<Default> {
  // Groups may stand in groups without end: the first is enough.
  if (path.split(".groups.").length > 2) return;
  // That a part may be left out says nothing of what holds then: its own keys do.
  if (node.default !== undefined && JSON.stringify(node.default) !== "{}") yield { path, value: node.default };
  const inner = (step: string): string => (path === "" ? step : `${path}.${step}`);
  for (const [key, value] of Object.entries(node.properties ?? {})) yield* defaultsOf(value, inner(key));
  if (typeof node.additionalProperties === "object") yield* defaultsOf(node.additionalProperties, inner(NAME));
  for (const way of [node.anyOf, node.oneOf, node.allOf]) for (const one of way ?? []) yield* defaultsOf(one, path);
  if (node.items) yield* defaultsOf(node.items, inner(ITEM));
}

/** Every default of the configuration, by path: those of the schema, and the scheduler that each method falls back on. */
export function defaults(): Map<string, unknown> {
  const all = new Map<string, unknown>();
  for (const { path, value } of defaultsOf(jsonSchema(catalog) as SchemaNode, "")) all.set(path, value);
  return all;
}

/** A default as it would be written in the file; `none` for an empty list. */
export const written = (value: unknown): string =>
  Array.isArray(value) ? (value.length === 0 ? "none" : `[${value.map(written).join(", ")}]`) : String(value);

const SERVICE = `services.${NAME}.`;

/** `docs/defaults.md`: what holds for every key that is not written, a table for each part of the file. */
export function defaultsDocument(): string {
  const methods = catalog.methods.map(({ name }) => name);
  const groups = new Map<string, string[]>();
  for (const [path, value] of defaults()) {
    const own = path.startsWith(SERVICE) ? path.slice(SERVICE.length) : null;
    const method = methods.find((name) => own?.startsWith(`${name}.`));
    const [title, key] =
      own === null
        ? ["The file", path]
        : method === undefined
          ? ["Every service", own]
          : [`\`${method}:\` of a service`, own.slice(method.length + 1)];
    groups.set(title!, [...(groups.get(title!) ?? []), `| \`${key}\` | ${written(value)} |`]);
  }
  const schedulers = catalog.methods.map(({ name, traits }) => `| \`${name}\` | ${traits.defaultScheduler} |`);
  return [
    "# Defaults",
    "",
    "What holds for each key that is not written, from the schema itself; `sluice adapt` shows a file with all of them filled",
    "in. A key that is not listed is off, or hangs on others, until it is written: its own document says so. `NAME` is a name",
    "of your own, `…` each item of a list.",
    "",
    ...[...groups].flatMap(([title, rows]) => [`## ${title}`, "", "| key | default |", "|---|---|", ...rows, ""]),
    "## The scheduler",
    "",
    "| method | default |",
    "|---|---|",
    ...schedulers,
    "",
  ].join("\n");
}
