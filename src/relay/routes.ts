import type { FieldBlock } from "../protocols/http/field-block.ts";
import { isLike } from "../protocols/http/fields.ts";
import { ascii, QUESTION } from "../protocols/http/octets.ts";
import type { RequestHead } from "../protocols/http/request.ts";
import { hostEnd } from "../protocols/http/target.ts";
import { type Condition, conditionsOf } from "./conditions.ts";
import { PatternSet } from "./pattern/pattern-set.ts";
import { type Pattern, parsePattern } from "./pattern/syntax.ts";
import { freestReading, isPlain } from "./plain-path.ts";
import { placesOfRoute, type RouteOptions, tagsOf } from "./route-options.ts";
import { type TargetEdit, targetEditOf } from "./target-edit.ts";

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
  readonly conditions: readonly Condition[];
  /** Numbers of the places whose clients it is for; null: all clients. */
  readonly places: readonly number[] | null;
  /** Where it sends, with the sum of the weights so far; empty: anywhere. */
  readonly split: readonly { tag: string; until: number }[];
  readonly request: Edits;
  /** Null: path and query go on as they came. */
  readonly target: TargetEdit | null;
  readonly response: Edits;
}

function editsOf({ set, remove }: RouteOptions["response"]): Edits {
  const entries = Object.entries(set);
  const drop = [...remove, ...entries.map(([name]) => name)].map((name) => ascii(name.toLowerCase()));
  const text = entries.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return { drop, lines: text === "" ? null : ascii(text) };
}

function toRoute(options: RouteOptions, order: number, placeNumbers: ReadonlyMap<string, number>): Route {
  let until = 0;
  const places = placesOfRoute(options);
  const split = tagsOf(options).map(({ tag, weight }) => {
    until += weight;
    return { tag, until };
  });
  return {
    order,
    methods: options.method?.map(ascii) ?? null,
    conditions: conditionsOf(options),
    places: places.length === 0 ? null : places.map((name) => placeNumbers.get(name) ?? -2),
    split,
    request: editsOf(options.request),
    target: targetEditOf(options),
    response: editsOf(options.response),
  };
}

/** Routes of one host by path. */
class Paths {
  readonly exact = new Map<string, Route[]>();
  readonly prefixes = new Map<string, Route[]>();
  readonly any: Route[] = [];
  /** Of the longest prefix: a path is looked at no further, whatever it holds. */
  longest = 0;
  private readonly patterns: Pattern[] = [];
  private readonly patterned: Route[][] = [];
  private machine: PatternSet | null = null;

  add({ path, prefix, regex }: RouteOptions, route: Route): void {
    const stem = prefix?.replace(/\/+$/, "");
    if (path !== undefined) put(this.exact, path, route);
    else if (stem !== undefined && stem !== "") {
      put(this.prefixes, stem, route);
      this.longest = Math.max(this.longest, stem.length);
    } else if (regex !== undefined) {
      this.patterns.push(parsePattern(regex) as Pattern);
      this.patterned.push([route]);
    } else this.any.push(route);
  }

  /** Lists of routes whose regular expression fits, in order. */
  byPattern(path: string): readonly (readonly Route[])[] {
    if (this.patterns.length === 0) return NONE;
    this.machine ??= new PatternSet(this.patterns);
    return this.machine.find(path).map((i) => this.patterned[i]!);
  }
}

const NONE: readonly (readonly Route[])[] = [];

/** Found instead of a route: the path may be read so that another one fits. */
export const AMBIGUOUS = Symbol("ambiguous path");

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
  /** Does any route ask for the client's place? */
  readonly byPlace: boolean;
  /** Of the longest domain behind a star, its dot included. */
  private longestDomain = 0;
  private best: Route | null = null;
  private place = -1;

  /** Are paths compared in no other reading? */
  private readonly asSent: boolean;

  /** `places`: the names of the configuration's places, in order. */
  constructor(all: readonly RouteOptions[], places: readonly string[] = [], asSent = false) {
    this.asSent = asSent;
    const numbers = new Map(places.map((name, i) => [name, i]));
    for (const [order, options] of all.entries())
      this.pathsFor(options.host).add(options, toRoute(options, order, numbers));
    this.byHost = all.some(({ host }) => host !== undefined);
    this.byPath = all.some(({ path, prefix, regex }) => (path ?? prefix ?? regex) !== undefined);
    this.byPlace = all.some(({ place }) => place !== undefined);
  }

  private pathsFor(host: string | undefined): Paths {
    if (host === undefined) return this.anyHost;
    const wild = host.startsWith("*.");
    const [map, key] = wild ? [this.wild, host.slice(1)] : [this.hosts, host];
    if (wild) this.longestDomain = Math.max(this.longestDomain, key.length);
    const paths = map.get(key) ?? new Paths();
    map.set(key, paths);
    return paths;
  }

  /**
   * The route of the request whose head lies in `bytes`, of a client in the place of this number; null: none fits.
   * AMBIGUOUS: a backend may read the path so that another would, or it holds dot segments (unless `asSent`).
   */
  find(bytes: Buffer, head: RequestHead, place = -1): Route | null | typeof AMBIGUOUS {
    this.place = place;
    if (!this.byPath) return this.forPath("", bytes, head);
    const path = pathOf(bytes, head);
    const route = this.forPath(path, bytes, head);
    const { pathStart } = head.target;
    if (this.asSent || isPlain(bytes, pathStart, pathStart + path.length)) return route;
    const freest = freestReading(path);
    if (freest === path) return route;
    return freest !== null && this.forPath(freest, bytes, head) === route ? route : AMBIGUOUS;
  }

  private forPath(path: string, bytes: Buffer, head: RequestHead): Route | null {
    this.best = null;
    if (this.byHost && head.hostStart >= 0) {
      const host = hostOf(bytes, head);
      this.among(this.hosts.get(host), path, bytes, head);
      if (this.wild.size > 0)
        for (
          let dot = host.indexOf(".", Math.max(1, host.length - this.longestDomain));
          dot >= 0;
          dot = host.indexOf(".", dot + 1)
        )
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
      for (let slash = path.indexOf("/", 1); slash >= 0 && slash <= paths.longest; slash = path.indexOf("/", slash + 1))
        this.consider(paths.prefixes.get(path.slice(0, slash)), bytes, head);
    }
    for (const routes of paths.byPattern(path)) this.consider(routes, bytes, head);
    this.consider(paths.any, bytes, head);
  }

  /** `routes` stand in order: the first that fits is the best of them. */
  private consider(routes: readonly Route[] | undefined, bytes: Buffer, head: RequestHead): void {
    if (routes === undefined) return;
    for (const route of routes) {
      if (this.best !== null && route.order > this.best.order) return;
      if (this.fits(route, bytes, head)) {
        this.best = route;
        return;
      }
    }
  }

  private fits({ methods, places, conditions }: Route, bytes: Buffer, head: RequestHead): boolean {
    const { methodStart, methodEnd } = head;
    if (methods !== null && !methods.some((name) => isSame(bytes, methodStart, methodEnd, name))) return false;
    if (places !== null && !places.includes(this.place)) return false;
    for (const condition of conditions) if (!condition.holds(bytes, head)) return false;
    return true;
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

/** Methods are told apart by case (RFC 9110 9.1). */
function isSame(bytes: Buffer, start: number, end: number, word: Uint8Array): boolean {
  return end - start === word.length && word.every((octet, i) => bytes[start + i] === octet);
}

/** Marks the fields that `edits` takes away or writes anew, and those that a backend may take for them. */
export function dropEdited(bytes: Buffer, block: FieldBlock, { drop }: Edits): void {
  for (const word of drop)
    for (let k = 0; k < block.count; k++) if (isLike(bytes, block.name[k]!, block.nameEnd[k]!, word)) block.drop[k] = 1;
}
