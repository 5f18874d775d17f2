import { printable } from "../../observe/printable.ts";
import type { Version } from "./agree.ts";

/** One mirror of a file. */
export interface Mirror {
  /** The file's whole URL there. */
  url: string;
  /** ISO 3166-1 letters of where it is; empty: not known. */
  country: string;
}

/** A URL-reference may stand in `<>` once these are encoded; a path that was judged holds none of them but by accident. */
const inBrackets = (url: string): string => url.replace(/[<>\s"]/g, (c) => encodeURIComponent(c));

/**
 * `Link` fields of the mirrors that have a file, the best first (RFC 6249 3), each with CR LF, and one of the Metalink
 * itself. `path`: of the file, as asked for.
 */
export function linkFields(mirrors: readonly Mirror[], path: string): string {
  const duplicates = mirrors.map(({ url, country }, i) => {
    const geo = country === "" ? "" : `; geo=${country.toLowerCase()}`;
    return `Link: <${inBrackets(url)}>; rel=duplicate; pri=${i + 1}${geo}\r\n`;
  });
  // Never by the Host that the client sent: a path is a reference of its own. Two slashes would name a host.
  const described = path.startsWith("//")
    ? ""
    : `Link: <${inBrackets(path)}.meta4>; rel=describedby; type="application/metalink4+xml"\r\n`;
  return duplicates.join("") + described;
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };
/** For text and attributes of XML 1.0 and HTML; controls cannot be in it at all. */
export const escaped = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "").replace(/[&<>"']/g, (c) => ESCAPES[c]!);

/** The last part of a path, decoded, and safe as a file's name (RFC 5854 4.1.2.1: no way out of a folder). */
export function fileName(path: string): string {
  const last = path.slice(path.lastIndexOf("/") + 1);
  let name = last;
  try {
    name = decodeURIComponent(last);
  } catch {
    // It stays as it was sent.
  }
  // Before it is judged: what is taken out later could leave another name.
  name = printable(name).replace(/[/\\:]/g, "_");
  return name === "" || name === "." || name === ".." ? "file" : name;
}

/** A Metalink 4 document of one file (RFC 5854). */
export function metalink(path: string, version: Version, mirrors: readonly Mirror[]): string {
  const { size, modified, digest } = version;
  const urls = mirrors.map(({ url, country }, i) => {
    const location = country === "" ? "" : ` location="${country.toLowerCase()}"`;
    return `    <url${location} priority="${i + 1}">${escaped(url)}</url>\n`;
  });
  const hash =
    digest === null ? "" : `    <hash type="sha-256">${Buffer.from(digest, "base64").toString("hex")}</hash>\n`;
  const updated = modified === null ? "" : `  <updated>${new Date(modified * 1000).toISOString()}</updated>\n`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink">
  <generator>Sluice</generator>
${updated}  <file name="${escaped(fileName(path))}">
    <size>${size}</size>
${hash}${urls.join("")}  </file>
</metalink>
`;
}
