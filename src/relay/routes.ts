import type { FieldBlock } from "../protocols/http/field-block.ts";
import { ascii, isWord, LOWER, QUESTION } from "../protocols/http/octets.ts";
import type { RequestHead } from "../protocols/http/request.ts";
import { hostEnd } from "../protocols/http/target.ts";
import { type RouteOptions, tagsOf } from "./route-options.ts";

/** Changes of a head, made ready: names to drop in lower case, lines to add. */
export interface Edits {
  readonly drop: readonly Uint8Array[];
  /** Whole lines; null: none. */
  readonly lines: Buffer | null;
}

/** A route, made ready. */
export interface Route {
  /** Its place in the configuration: the first that fits counts. */
  readonly order: number;
  readonly methods: readonly Uint8Array[] | null;
  readonly fields: readonly { name: Uint8Array; value: Uint8Array | null }[];
  /** Where it sends, with the sum of the weights so far; empty: anywhere. */
  readonly split: readonly { tag: string; until: number }[];
  readonly request: Edits;
  readonly response: Edits;
}

function editsOf({ set, remove }: RouteOptions["request"]): Edits {
  const entries = Object.entries(set);
  const drop = [...remove, ...entries.map(([name]) => name)].map((name) => ascii(name.toLowerCase()));
  const text = entries.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return { drop, lines: text === "" ? null : ascii(text) };
}

function toRoute(options: RouteOptions, order: number): Route {
  let until = 0;
  const split = tagsOf(options).map(({ tag, weight }) => {
    until += weight;
    return { tag, until };
  });
  return {
    order,
    methods: options.method?.map(ascii) ?? null,
    fields: Object.entries(options.header).map(([name, value]) => ({
      name: ascii(name.toLowerCase()),
      value: value === true ? null : ascii(value),
    })),
    split,
    request: editsOf(options.request),
    response: editsOf(options.response),
  };
}

/** Routes of one host by path. */
class Paths {
  readonly exact = new Map<string, Route[]>();
  readonly prefixes = new Map<string, Route[]>();
  readonly any: Route[] = [];

  add({ path, prefix }: RouteOptions, route: Route): void {
    const stem = prefix?.replace(/\/+$/, "");
    if (path !== undefined) put(this.exact, path, route);
    else if (stem !== undefined && stem !== "") put(this.prefixes, stem, route);
    else this.any.push(route);
  }
}

function put<K>(map: Map<K, Route[]>, key: K, route: Route): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, [route]);
  else there.push(route);
}

/**
 * The routes of a service, compiled once: what a request costs hangs on its labels and segments, not on the number of
 * routes. The first route in the configuration's order that fits is taken, however it is found.
 */
export class Routes {
  private readonly hosts = new Map<string, Paths>();
  /** By domain, `.example.com` for `*.example.com`. */
  private readonly wild = new Map<string, Paths>();
  private readonly anyHost = new Paths();
  private readonly byHost: boolean;
  private readonly byPath: boolean;
  private best: Route | null = null;

  constructor(all: readonly RouteOptions[]) {
    for (const [order, options] of all.entries()) this.pathsFor(options.host).add(options, toRoute(options, order));
    this.byHost = all.some(({ host }) => host !== undefined);
    this.byPath = all.some(({ path, prefix }) => path !== undefined || prefix !== undefined);
  }

  private pathsFor(host: string | undefined): Paths {
    if (host === undefined) return this.anyHost;
    const [map, key] = host.startsWith("*.") ? [this.wild, host.slice(1)] : [this.hosts, host];
    const paths = map.get(key) ?? new Paths();
    map.set(key, paths);
    return paths;
  }

  /** The route of the request whose head lies in `bytes`; null: none fits. */
  find(bytes: Buffer, head: RequestHead): Route | null {
    this.best = null;
    const path = this.byPath ? pathOf(bytes, head) : "";
    if (this.byHost && head.hostStart >= 0) {
      const host = hostOf(bytes, head);
      this.among(this.hosts.get(host), path, bytes, head);
      if (this.wild.size > 0)
        for (let dot = host.indexOf(".", 1); dot >= 0; dot = host.indexOf(".", dot + 1))
          this.among(this.wild.get(host.slice(dot)), path, bytes, head);
    }
    this.among(this.anyHost, path, bytes, head);
    return this.best;
  }

  private among(paths: Paths | undefined, path: string, bytes: Buffer, head: RequestHead): void {
    if (paths === undefined) return;
    this.consider(paths.exact.get(path), bytes, head);
    if (paths.prefixes.size > 0) {
      this.consider(paths.prefixes.get(path), bytes, head);
      for (let slash = path.indexOf("/", 1); slash >= 0; slash = path.indexOf("/", slash + 1))
        this.consider(paths.prefixes.get(path.slice(0, slash)), bytes, head);
    }
    this.consider(paths.any, bytes, head);
  }

  /** `routes` stand in order: the first that fits is the best of them. */
  private consider(routes: readonly Route[] | undefined, bytes: Buffer, head: RequestHead): void {
    if (routes === undefined) return;
    for (const route of routes) {
      if (this.best !== null && route.order > this.best.order) return;
      if (fits(route, bytes, head)) {
        this.best = route;
        return;
      }
    }
  }
}

function pathOf(bytes: Buffer, { target }: RequestHead): string {
  const { pathStart, pathEnd } = target;
  let end = pathStart;
  while (end < pathEnd && bytes[end] !== QUESTION) end++;
  return end === pathStart ? "/" : bytes.toString("latin1", pathStart, end);
}

function hostOf(bytes: Buffer, { hostStart, hostEnd: end }: RequestHead): string {
  let stop = hostEnd(bytes, hostStart, end);
  if (stop > hostStart + 1 && bytes[stop - 1] === 46) stop--; // a root dot names the same host
  return bytes.toString("latin1", hostStart, stop).toLowerCase();
}

function fits({ methods, fields }: Route, bytes: Buffer, head: RequestHead): boolean {
  const { methodStart, methodEnd } = head;
  if (methods !== null && !methods.some((name) => isSame(bytes, methodStart, methodEnd, name))) return false;
  return fields.every(({ name, value }) => hasField(bytes, head.fields, name, value));
}

/** Methods and values are told apart by case (RFC 9110 9.1). */
function isSame(bytes: Buffer, start: number, end: number, word: Uint8Array): boolean {
  return end - start === word.length && word.every((octet, i) => bytes[start + i] === octet);
}

function hasField(bytes: Buffer, block: FieldBlock, name: Uint8Array, value: Uint8Array | null): boolean {
  for (let k = 0; k < block.count; k++) {
    if (!isWord(bytes, block.name[k]!, block.nameEnd[k]!, name)) continue;
    if (value === null || isSame(bytes, block.value[k]!, block.valueEnd[k]!, value)) return true;
  }
  return false;
}

/** Marks the fields that `edits` takes away or writes anew. */
export function dropEdited(bytes: Buffer, block: FieldBlock, { drop }: Edits): void {
  for (const word of drop)
    for (let k = 0; k < block.count; k++) {
      const start = block.name[k]!;
      if (LOWER[bytes[start]!] === word[0] && isWord(bytes, start, block.nameEnd[k]!, word)) block.drop[k] = 1;
    }
}
