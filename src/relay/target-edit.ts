import { ascii, QUESTION } from "../protocols/http/octets.ts";
import type { RequestHead } from "../protocols/http/request.ts";
import { Form } from "../protocols/http/target.ts";
import { encoded, parameters } from "./query.ts";
import type { RouteOptions } from "./route-options.ts";

/** How a route changes path and query on the way to a backend. */
export interface TargetEdit {
  /** Instead of the whole path; null: not. */
  path: string | null;
  /** Octets of the path to cut off in front, and what to write instead. */
  cut: number;
  put: string;
  /** Parameters that go away, and what is added, `&` in front. Null: the query goes on as it came. */
  query: { drop: ReadonlySet<string>; add: string } | null;
}

/** Null: nothing is changed. */
export function targetEditOf({ prefix, request }: Pick<RouteOptions, "prefix" | "request">): TargetEdit | null {
  const { path, prefix: instead, query } = request;
  const set = Object.entries(query.set);
  const queried = set.length > 0 || query.remove.length > 0;
  if (path === undefined && instead === undefined && !queried) return null;
  const add = set.map(([name, value]) => `&${encoded(name)}=${encoded(value)}`).join("");
  const drop = new Set([...query.remove, ...set.map(([name]) => name)]);
  const replaces = instead !== undefined && path === undefined;
  return {
    path: path ?? null,
    cut: replaces ? (prefix ?? "").replace(/\/+$/, "").length : 0,
    put: replaces ? instead.replace(/\/+$/, "") : "",
    query: queried ? { drop, add } : null,
  };
}

/** Path and query as a backend gets them. The request must have fitted the edit's route. */
export function editTarget(edit: TargetEdit, bytes: Buffer, { target }: RequestHead): Buffer | null {
  const { form, pathStart, pathEnd } = target;
  if (form === Form.ASTERISK) return null;
  const mark = bytes.indexOf(QUESTION, pathStart);
  const pathStop = mark < 0 || mark >= pathEnd ? pathEnd : mark;
  const path = edit.path ?? (edit.put + bytes.toString("latin1", pathStart + edit.cut, pathStop) || "/");
  let query = pathStop === pathEnd ? null : bytes.toString("latin1", pathStop + 1, pathEnd);
  if (edit.query !== null) {
    const { drop, add } = edit.query;
    const kept = parameters(query ?? "").filter(({ name }) => !drop.has(name));
    query = `${kept.map(({ text }) => text).join("&")}${add}`.replace(/^&/, "");
    if (query === "") query = null;
  }
  return ascii(query === null ? path : `${path}?${query}`);
}
