import { type FieldBlock, fieldText } from "../../protocols/http/field-block.ts";
import { ascii, QUESTION } from "../../protocols/http/octets.ts";

/** What a client wants to have of a file. */
export type Form = "file" | "metalink" | "list" | "page";

export interface Wanted {
  /** Of the file, without its query. */
  path: string;
  form: Form;
}

const ACCEPT = ascii("accept");
const META4 = ".meta4";

const accepted = (bytes: Buffer, fields: FieldBlock): string => (fieldText(bytes, fields, ACCEPT) ?? "").toLowerCase();

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
    return { path, form: accepted(bytes, fields).includes("text/html") ? "page" : "list" };
  if (path.endsWith(META4)) return { path: path.slice(0, -META4.length), form: "metalink" };
  return { path, form: accepted(bytes, fields).includes("application/metalink4+xml") ? "metalink" : "file" };
}
