import { below, oneOf, type Random } from "./target.ts";

/** Words that have broken parsers of HTTP. */
export const words = [
  "\r",
  "\n",
  "\r\n",
  "\r\n\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "\x0b",
  "\x80",
  "\xff",
  "0",
  "+",
  "-",
  "_",
  "0x",
  "#",
  "%00",
  "*",
  "/",
  "http://h",
  "@",
  "[::1]",
  "HTTP/1.0",
  "HTTP/2.0",
  "chunked",
  "chunked, ",
  "identity",
  "Host: b\r\n",
  "Content-Length: 5\r\n",
  "Content-Length: 6\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "Connection: content-length\r\n",
  "\r\n folded",
  "18446744073709551616",
  "9007199254740993",
] as const;

const names = [
  "Content-Length",
  "content-length",
  "Transfer-Encoding",
  "TRANSFER-encoding",
  "Content_Length",
  "Connection",
  "Upgrade",
  "TE",
  "Keep-Alive",
  "Expect",
  "Max-Forwards",
  "Via",
  "X-Forwarded-For",
  "X-Forwarded-Host",
  "Forwarded",
  "Cookie",
  "Date",
  "Trailer",
  "Accept",
  "X-Own",
] as const;
const values = [
  "5",
  "0",
  "chunked",
  "Chunked",
  "gzip, chunked",
  "close",
  "keep-alive",
  "upgrade",
  "x-own, te",
  "websocket",
  "trailers",
  "100-continue",
  "1.1 sluice",
  "a",
  "a b\tc",
  "",
] as const;

/** A few field lines, sound each for itself. */
export function fieldLines(random: Random): string {
  let lines = "";
  for (let i = below(random, 6); i > 0; i--)
    lines += `${oneOf(random, names)}:${oneOf(random, [" ", "", "  "])}${oneOf(random, values)}\r\n`;
  return lines;
}

/** Lines of a head as a simple reader sees them: what the strict parser let pass must look like this to anyone. */
export function plainLines(head: string): { start: string; fields: [name: string, value: string][] } | null {
  if (!head.endsWith("\r\n\r\n")) return null;
  const [start = "", ...lines] = head.slice(0, -4).split("\r\n");
  if (/[\r\n\0]/.test(start + lines.join(""))) return null;
  const fields = lines.map((line): [string, string] | null => {
    const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    return name === undefined ? null : [name.toLowerCase(), value!];
  });
  return fields.includes(null) ? null : { start, fields: fields as [string, string][] };
}
