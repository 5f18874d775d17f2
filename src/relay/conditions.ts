import { Field } from "../protocols/http/fields.ts";
import { ascii, isWord, QUESTION } from "../protocols/http/octets.ts";
import type { RequestHead } from "../protocols/http/request.ts";
import { decoded, parameters } from "./query.ts";
import type { RouteOptions } from "./route-options.ts";

/** Something beside host, path, method and place that a request must have for a route. */
export interface Condition {
  holds(bytes: Buffer, head: RequestHead): boolean;
}

/** A field of a name, with this value; null: with any. Values are told apart by case, names are not. */
class FieldCondition implements Condition {
  private readonly name: Uint8Array;
  private readonly value: Buffer | null;
  constructor(name: string, value: string | true) {
    this.name = ascii(name.toLowerCase());
    this.value = value === true ? null : ascii(value);
  }

  holds(bytes: Buffer, { fields }: RequestHead): boolean {
    const { name, value } = this;
    for (let k = 0; k < fields.count; k++) {
      if (!isWord(bytes, fields.name[k]!, fields.nameEnd[k]!, name)) continue;
      if (value === null || value.equals(bytes.subarray(fields.value[k]!, fields.valueEnd[k]!))) return true;
    }
    return false;
  }
}

/** A parameter of the query; of several of a name any may fit. */
class QueryCondition implements Condition {
  private readonly name: string;
  private readonly value: string | true;
  constructor(name: string, value: string | true) {
    this.name = name;
    this.value = value;
  }

  holds(bytes: Buffer, { target }: RequestHead): boolean {
    const { pathStart, pathEnd } = target;
    const mark = bytes.indexOf(QUESTION, pathStart);
    if (mark < 0 || mark >= pathEnd) return false;
    const query = bytes.toString("latin1", mark + 1, pathEnd);
    return parameters(query).some(
      ({ name, value }) => name === this.name && (this.value === true || decoded(value) === this.value),
    );
  }
}

/** A cookie (RFC 6265 4.2.1): `name=value` of a list with semicolons; the value as sent, quotes included. */
class CookieCondition implements Condition {
  private readonly start: string;
  private readonly value: string | true;
  constructor(name: string, value: string | true) {
    this.start = `${name}=`;
    this.value = value;
  }

  holds(bytes: Buffer, { fields }: RequestHead): boolean {
    for (let k = 0; k < fields.count; k++) {
      if (fields.id[k] !== Field.COOKIE) continue;
      for (const pair of bytes.toString("latin1", fields.value[k]!, fields.valueEnd[k]!).split(";")) {
        const text = pair.trim();
        if (text.startsWith(this.start) && (this.value === true || text.slice(this.start.length) === this.value))
          return true;
      }
    }
    return false;
  }
}

/** All that a route asks of fields, query and cookies. */
export function conditionsOf({
  header,
  query,
  cookie,
}: Pick<RouteOptions, "header" | "query" | "cookie">): Condition[] {
  return [
    ...Object.entries(header).map(([name, value]) => new FieldCondition(name, value)),
    ...Object.entries(query).map(([name, value]) => new QueryCondition(name, value)),
    ...Object.entries(cookie).map(([name, value]) => new CookieCondition(name, value)),
  ];
}
