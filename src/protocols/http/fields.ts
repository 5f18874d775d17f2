import { ascii, isWord, LOWER } from "./octets.ts";

/** The fields that an intermediary looks at; all others are 0 and pass. */
export const Field = {
  OTHER: 0,
  HOST: 1,
  CONNECTION: 2,
  CONTENT_LENGTH: 3,
  TRANSFER_ENCODING: 4,
  UPGRADE: 5,
  TE: 6,
  KEEP_ALIVE: 7,
  PROXY_CONNECTION: 8,
  EXPECT: 9,
  MAX_FORWARDS: 10,
  VIA: 11,
  X_FORWARDED_FOR: 12,
  X_FORWARDED_PROTO: 13,
  X_FORWARDED_HOST: 14,
  FORWARDED: 15,
  PROXY: 16,
  DATE: 17,
  TRAILER: 18,
  HTTP2_SETTINGS: 19,
  AUTHORIZATION: 20,
  COOKIE: 21,
  SET_COOKIE: 22,
  X_FORWARDED_PORT: 23,
  /** A known name written with `_` or `.` for `-`: some backends fold them together. */
  ALIAS: 24,
} as const;

const names: readonly (readonly [string, number])[] = [
  ["host", Field.HOST],
  ["connection", Field.CONNECTION],
  ["content-length", Field.CONTENT_LENGTH],
  ["transfer-encoding", Field.TRANSFER_ENCODING],
  ["upgrade", Field.UPGRADE],
  ["te", Field.TE],
  ["keep-alive", Field.KEEP_ALIVE],
  ["proxy-connection", Field.PROXY_CONNECTION],
  ["expect", Field.EXPECT],
  ["max-forwards", Field.MAX_FORWARDS],
  ["via", Field.VIA],
  ["x-forwarded-for", Field.X_FORWARDED_FOR],
  ["x-forwarded-proto", Field.X_FORWARDED_PROTO],
  ["x-forwarded-host", Field.X_FORWARDED_HOST],
  ["x-forwarded-port", Field.X_FORWARDED_PORT],
  ["forwarded", Field.FORWARDED],
  ["proxy", Field.PROXY],
  ["date", Field.DATE],
  ["trailer", Field.TRAILER],
  ["http2-settings", Field.HTTP2_SETTINGS],
  ["authorization", Field.AUTHORIZATION],
  ["cookie", Field.COOKIE],
  ["set-cookie", Field.SET_COOKIE],
];

interface Needle {
  word: Uint8Array;
  id: number;
}

/** Needles by length of the name: most names of a request have a length that none of ours has, and cost one load. */
const byLength: (readonly Needle[] | undefined)[] = [];
for (const [name, id] of names) byLength[name.length] = [...(byLength[name.length] ?? []), { word: ascii(name), id }];
for (let length = 0; length < 32; length++) byLength[length] ??= undefined;

const DASH = 45;

/** Octets of names as those see them who fold `_` and `.` into `-`, and upper case into lower. */
const FOLDED = LOWER.map((octet) => (octet === 95 || octet === 46 ? DASH : octet));

/** Is `bytes[start, end)` this name, or one that some backends fold together with it? */
export function isLike(bytes: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (FOLDED[bytes[start + i]!] !== FOLDED[name[i]!]) return false;
  return true;
}

/** Which field `bytes[start, end)` names. */
export function fieldOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > 17) return Field.OTHER;
  const needles = byLength[length];
  if (needles === undefined) return Field.OTHER;
  for (let i = 0; i < needles.length; i++) {
    const { word, id } = needles[i]!;
    let at = 0;
    while (at < length && LOWER[bytes[start + at]!] === word[at]) at++;
    if (at === length) return id;
    if (word[at] === DASH && isLike(bytes, start, end, word)) return Field.ALIAS;
  }
  return Field.OTHER;
}

/**
 * Fields that a `Connection` option cannot take away: it names hop-by-hop fields, and must not be a way for a client to
 * strip what a gateway or a backend decides by (RFC 9110 7.6.1).
 */
const endToEnd = [
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "expect",
  "max-forwards",
  "via",
  "forwarded",
  "date",
  "location",
  "cache-control",
].map(ascii);
const forwarded = ascii("x-forwarded-");

/** May the `Connection` option `bytes[start, end)` remove the fields of its name? */
export function mayBeNominated(bytes: Uint8Array, start: number, end: number): boolean {
  if (isWord(bytes, start, Math.min(end, start + forwarded.length), forwarded)) return false;
  return !endToEnd.some((name) => isWord(bytes, start, end, name));
}
