import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type Node, parseDocument, type YAMLError } from "yaml";
import { configProblem, type Path, type Place, type Problem } from "../core/problem.ts";
import { NO_KEY } from "./plain-value.ts";
import { createSourceText, type SourceText } from "./source-text.ts";

/** A parsed YAML or JSON file: its plain value, and where each part of it stands. */
export interface ParsedDocument {
  readonly source: SourceText;
  readonly value: unknown;
  /** Syntax errors, tags, keys that are no text, keys that stand twice. */
  readonly problems: Problem[];
  /** The place of what `path` leads to: a scalar, else its key; of the deepest part that exists. `key` asks for the key. */
  locate(path: Path, wanted?: "key" | "value"): Place;
}

/** Most times that aliases may be repeated, counted as the library does: stops "billion laughs". */
const MAX_ALIASES = 100;
/** Deeper nesting than any configuration has; keeps recursion bounded. */
const MAX_DEPTH = 64;

/** More problems of form than these help nobody; the rest of the tree is then left unread. */
const MAX_PROBLEMS = 500;

interface Found {
  key: Node | null;
  value: Node | null;
}

/** Parses YAML 1.2 (and so JSON). Never throws; with syntax errors `value` is undefined. */
export function parseConfigDocument(file: string, text: string): ParsedDocument {
  const source = createSourceText(file, text);
  if (nestingOf(text) > MAX_DEPTH * 4) return broken(source, "Brackets are nested too deep");
  try {
    const document = parseDocument(text, { uniqueKeys: false, prettyErrors: false, version: "1.2", merge: false });
    const problems = [...document.errors, ...document.warnings].map((error) => syntaxProblem(source, error));
    if (problems.length === 0) checkTree(source, document.contents, [], problems, 0);
    const fatal = problems.some((p) => p.code === "SLUICE_CONFIG_SYNTAX");
    const value = fatal ? undefined : document.toJS({ maxAliasCount: MAX_ALIASES });
    return { source, value, problems, locate: (path, wanted) => locate(source, document, path, wanted) };
  } catch (error) {
    return broken(source, reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof RangeError) return "The file is nested too deep";
  if (error instanceof ReferenceError) return "Aliases repeat too much of the file";
  return "The file cannot be read as YAML";
}

function broken(source: SourceText, reason: string): ParsedDocument {
  const place = source.place(0, 1);
  return {
    source,
    value: undefined,
    problems: [configProblem("SLUICE_CONFIG_SYNTAX", [], `${reason}.`, { place })],
    locate: () => place,
  };
}

/** Brackets that are open at once, roughly: a cheap guard before a recursive parser. */
function nestingOf(text: string): number {
  let [depth, most] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x5b || c === 0x7b) most = Math.max(most, ++depth);
    else if ((c === 0x5d || c === 0x7d) && depth > 0) depth--;
  }
  return most;
}

const plainWords: Partial<Record<string, string>> = {
  TAB_AS_INDENT: "Tabs cannot indent: use spaces.",
  BAD_INDENT: "The indentation does not fit the lines above.",
  MISSING_CHAR: "A closing quote or bracket, or a colon, is missing.",
  MULTIPLE_DOCS: "A second document begins here: a file holds one.",
  TAG_RESOLVE_FAILED: "Tags have no meaning here.",
  BLOCK_AS_IMPLICIT_KEY: "A mapping cannot stand here: is the indentation right, or a colon too many?",
  MULTILINE_IMPLICIT_KEY: "This is not a key with its colon: is a colon missing?",
  UNEXPECTED_TOKEN: "This cannot stand here.",
  BAD_ALIAS: "This alias is not defined above.",
  BAD_SCALAR_START: "Plain text cannot begin with this character: put it in quotes.",
  BAD_DQ_ESCAPE: "This escape is not valid in double quotes.",
};

function syntaxProblem(source: SourceText, error: YAMLError): Problem {
  const message = plainWords[error.code] ?? `${error.message.replace(/[.\s]*$/, "")}.`;
  return configProblem("SLUICE_CONFIG_SYNTAX", [], message, { place: source.place(error.pos[0], error.pos[1]) });
}

const placeOf = (source: SourceText, node: Node | null): Place | null =>
  node?.range ? source.place(node.range[0], node.range[1]) : null;

/** Reports, over the whole tree, what the plain value can no longer show. */
function checkTree(source: SourceText, node: unknown, path: Path, problems: Problem[], depth: number): void {
  if (problems.length >= MAX_PROBLEMS) return;
  if (depth > MAX_DEPTH) {
    const place = placeOf(source, isNode(node) ? node : null) ?? source.place(0, 1);
    problems.push(configProblem("SLUICE_CONFIG_SYNTAX", path, "The file is nested too deep.", { place }));
  } else if (isSeq(node)) {
    for (const [i, item] of node.items.entries()) checkTree(source, item, [...path, i], problems, depth + 1);
  } else if (isMap(node)) {
    const seen = new Map<string, Place>();
    for (const pair of node.items) {
      if (problems.length >= MAX_PROBLEMS) return;
      const key = isNode(pair.key) ? pair.key : null;
      const place = placeOf(source, key) ?? source.place(0, 1);
      if (!isScalar(key)) {
        problems.push(configProblem("SLUICE_CONFIG_SYNTAX", path, "A key must be plain text.", { place }));
        continue;
      }
      const name = keyText(key);
      const first = seen.get(name);
      if (name === NO_KEY) problems.push(noKey([...path, name], place));
      else if (first) problems.push(duplicateKey([...path, name], name, place, first));
      else seen.set(name, place);
      checkTree(source, pair.value, [...path, name], problems, depth + 1);
    }
  }
}

const noKey = (path: Path, place: Place): Problem =>
  configProblem("SLUICE_CONFIG_KEY", path, `${JSON.stringify(NO_KEY)} cannot be a name or a key: choose another.`, {
    place,
  });

function duplicateKey(path: Path, name: string, place: Place, first: Place): Problem {
  const also = [{ place: first, message: "it stands here first" }];
  return configProblem("SLUICE_CONFIG_DUPLICATE", path, `${JSON.stringify(name)} stands twice.`, { place, also });
}

const keyText = (node: unknown): string =>
  isScalar(node) ? (node.value === null ? "" : String(node.value)) : String(node);

function step(document: Document, node: unknown, part: string | number): Found | null {
  const resolved = isAlias(node) ? node.resolve(document) : node;
  if (isSeq(resolved)) {
    const item = resolved.items[Number(part)];
    return isNode(item) ? { key: null, value: item } : null;
  }
  if (!isMap(resolved)) return null;
  // The last of equal keys wins, as in the plain value.
  const pair = resolved.items.findLast((p) => keyText(p.key) === String(part));
  return pair ? { key: isNode(pair.key) ? pair.key : null, value: isNode(pair.value) ? pair.value : null } : null;
}

function locate(source: SourceText, document: Document, path: Path, wanted: "key" | "value" = "value"): Place {
  let found: Found = { key: null, value: document.contents as Node | null };
  let keyPlace: Place | null = null;
  let whole = true;
  for (const part of path) {
    const next = step(document, found.value, part);
    if (!next) {
      whole = false;
      break;
    }
    found = next;
    keyPlace = placeOf(source, next.key) ?? (next.key === null ? null : keyPlace);
  }
  // What the whole file lacks is said at its beginning, not under all of it.
  if (!whole && found.value === document.contents) return source.place(found.value?.range?.[0] ?? 0, 0);
  const value = placeOf(source, found.value);
  const scalar = isScalar(found.value) && found.value.range && found.value.range[1] > found.value.range[0];
  if (wanted === "key" && whole) return keyPlace ?? value ?? source.place(0, 1);
  return (scalar ? value : (keyPlace ?? value)) ?? source.place(0, 1);
}
