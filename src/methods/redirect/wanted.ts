import type { FieldBlock } from "../../protocols/http/field-block.ts";
import { ascii, isWord, QUESTION } from "../../protocols/http/octets.ts";

/** What a client wants to have of a file. */
export type Form = "file" | "metalink" | "list" | "page";

export interface Wanted {
  /** Of the file, without its query. */
  path: string;
  form: Form;
}

const ACCEPT = ascii("accept");
const META4 = ".meta4";

/** A weight that says no (RFC 9110 12.4.2). */
const REFUSED = /;[ \t]*q=0(?:\.0{0,3})?[ \t]*(?:;|$)/;

/** Does the client ask for this type by name? `*` names nothing, and with a weight of 0 it wants it not (RFC 9110 12.5.1). */
function accepts(bytes: Buffer, fields: FieldBlock, type: string): boolean {
  for (let k = 0; k < fields.count; k++) {
    if (!isWord(bytes, fields.name[k]!, fields.nameEnd[k]!, ACCEPT)) continue;
    const ranges = bytes.toString("latin1", fields.value[k], fields.valueEnd[k]).toLowerCase().split(",");
    for (const range of ranges) if (range.split(";", 1)[0]!.trim() === type && !REFUSED.test(range)) return true;
  }
  return false;
}

/**
 * Which file a request is for, and in which form: `?mirrorlist` asks for the list (a page for who takes text/html),
 * `.meta4` at the end or `Accept: application/metalink4+xml` for the Metalink (RFC 6249 4, RFC 5854). `bytes[start, end)`:
 * path and query.
 */
export function wantedOf(bytes: Buffer, start: number, end: number, fields: FieldBlock): Wanted {
  const mark = bytes.indexOf(QUESTION, start);
  const stop = mark < 0 || mark >= end ? end : mark;
  const path = stop === start ? "/" : bytes.toString("latin1", start, stop);
  if (stop < end && bytes.toString("latin1", stop + 1, end) === "mirrorlist")
    return { path, form: accepts(bytes, fields, "text/html") ? "page" : "list" };
  if (path.endsWith(META4)) return { path: path.slice(0, -META4.length), form: "metalink" };
  return { path, form: accepts(bytes, fields, "application/metalink4+xml") ? "metalink" : "file" };
}
