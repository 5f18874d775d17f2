/**
 * Messages as a strict reader (RFC 9112) finds them in raw bytes, in one comparable line each. What a gateway adds or
 * may change on its way (Via, X-Forwarded-*, Connection, the order and case of names) is left out.
 */

const added = /^(via|x-forwarded-.*|forwarded|connection|keep-alive|date|server|x-real-ip|sluice-reason)$/;

interface Framed {
  body: string;
  rest: string;
  how: string;
}

/** A chunked body: its data, its trailers, and what follows; null when it is not whole or not to be read. */
function dechunk(text: string): Framed | null {
  let [at, body] = [0, ""];
  for (;;) {
    const size = /^([0-9a-fA-F]{1,15})(?:[ \t]*;[^\r\n]*)?\r\n/.exec(text.slice(at));
    if (!size) return null;
    at += size[0].length;
    const length = Number.parseInt(size[1]!, 16);
    if (length === 0) break;
    if (text.slice(at + length, at + length + 2) !== "\r\n") return null;
    body += text.slice(at, at + length);
    at += length + 2;
  }
  const trailers = /^(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(at));
  if (!trailers) return null;
  const fields = trailers[0].slice(0, -4).split("\r\n").filter(Boolean);
  return { body, rest: text.slice(at + trailers[0].length), how: ["chunked", ...fields].join(" +").toLowerCase() };
}

function frame(text: string, fields: [string, string][], bodiless: boolean, toEnd: boolean): Framed | string {
  const lengths = fields.filter(([name]) => name === "content-length").map(([, value]) => value);
  const codings = fields.filter(([name]) => name === "transfer-encoding").map(([, value]) => value);
  if (bodiless) return { body: "", rest: text, how: [...lengths, ...codings].join(" ") || "none" };
  if (lengths.length + codings.length > 1) return "two framings";
  if (codings.length > 0) {
    if (codings[0]!.toLowerCase() !== "chunked") return `coding ${codings[0]}`;
    return dechunk(text) ?? "chunks broken or not whole";
  }
  if (lengths.length === 0) return { body: toEnd ? text : "", rest: toEnd ? "" : text, how: "none" };
  const length = Number(lengths[0]);
  if (!/^\d+$/.test(lengths[0]!)) return `length ${lengths[0]}`;
  if (text.length < length) return "not whole";
  return { body: text.slice(0, length), rest: text.slice(length), how: `length ${length}` };
}

const shown = (text: string): string => (text.length > 60 ? `${text.slice(0, 40)}… (${text.length})` : text);

/** `line | fields | framing | body` of each message; `?` and why before what cannot be told. */
function messages(
  text: string,
  line: RegExp,
  bodiless: (line: string, index: number) => boolean,
  toEnd: boolean,
): string[] {
  const found: string[] = [];
  let rest = text;
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n");
    const [first = "", ...lines] = end < 0 ? [] : rest.slice(0, end).split("\r\n");
    if (!line.test(first) || lines.some((l) => !/^[!#$%&'*+.^_`|~\w-]+:[ \t]*[^\0\r\n]*$/.test(l))) {
      found.push(`? ${JSON.stringify(shown(rest))}`);
      break;
    }
    const fields = lines.map((l): [string, string] => {
      const colon = l.indexOf(":");
      return [l.slice(0, colon).toLowerCase(), l.slice(colon + 1).trim()];
    });
    const framed = frame(rest.slice(end + 4), fields, bodiless(first, found.length), toEnd);
    const kept = fields
      .filter(([name]) => !added.test(name) && name !== "content-length" && name !== "transfer-encoding")
      .map(([name, value]) => `${name}=${shown(value)}`)
      .sort();
    const head = `${shown(first.replace(/ HTTP\/1\.[01]$/, ""))} | ${shown(kept.join(" "))}`;
    if (typeof framed === "string") {
      found.push(`? ${head} | ${framed}`);
      break;
    }
    found.push(`${head} | ${framed.how} | ${JSON.stringify(shown(framed.body))}`);
    rest = framed.rest;
  }
  return found;
}

/** The requests that a backend got, by its connections. */
export const readRequests = (connections: readonly string[]): string[] =>
  connections.flatMap((text) => messages(text, /^[!-~]+ [!-~]+ HTTP\/1\.[01]$/, () => false, false));

/** The final statuses that a client got, and what became of the connection. */
export function readStatuses(text: string, closed: boolean): string {
  const statuses = [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, status]) => status!).filter((s) => s !== "100");
  return `${statuses.join(" ") || (text === "" ? "nothing" : "no HTTP")}, ${closed ? "closed" : "open"}`;
}

/** The responses that a client got, with fields and bodies. */
export function readResponses(text: string, methods: readonly string[], closed: boolean): string[] {
  let [finals, index] = [0, -1];
  const bodiless = (line: string, at: number): boolean => {
    const status = Number(line.slice(9, 12));
    if (at !== index && status >= 200) finals++;
    index = at;
    return status < 200 || status === 204 || status === 304 || methods[finals - 1] === "HEAD";
  };
  return [...messages(text, /^HTTP\/1\.[01] \d{3} ?.*$/, bodiless, true), closed ? "closed" : "open"];
}
