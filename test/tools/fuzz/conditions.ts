import { parseRequest, RequestHead } from "../../../src/protocols/http/request.ts";
import { conditionsOf } from "../../../src/relay/conditions.ts";
import { below, damage, eachInput, Fault, type FuzzTarget, oneOf, type Random } from "./target.ts";

const LIMITS = { size: 4096, fields: 32, target: 1024 };
const head = new RequestHead(LIMITS);
const conditions = conditionsOf({
  header: { "X-Beta": "1" },
  query: { a: "b c", "n m": true },
  cookie: { c: "d", e: true },
});

const words = [
  "a",
  "b",
  "b+c",
  "b%20c",
  "%",
  "%zz",
  "%c3",
  "&",
  "=",
  "?",
  "n+m",
  "n%20m",
  "c=d",
  ";",
  "; ",
  "e=",
  "ec=d",
  "\t",
  '"',
];

function make(random: Random): Buffer {
  const query = damage(
    oneOf(random, ["a=b+c", "x&a=b%20c", "n%20m", "a=b&a=b+c", "", "=&=&"]),
    below(random, 3),
    words,
    random,
  );
  const cookie = damage(oneOf(random, ["c=d", "x=y; c=d", "e=1;c=", "xc=d", "c=d2"]), below(random, 3), words, random);
  const more = oneOf(random, ["", "X-Beta: 1\r\n", "x-beta: 2\r\nX-BETA: 1\r\n", "Cookie: c=d\r\n"]);
  return Buffer.from(`GET /p?${query} HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n${more}\r\n`, "latin1");
}

/** The same by plain readers of the whole head. */
function plainly(text: string): boolean[] {
  const query = /^GET \/p\?(\S*) /.exec(text)?.[1] ?? "";
  const values = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*\\r$`, "gim"))].map(([, value]) => value!);
  const pairs = new URLSearchParams(`?${query}`);
  const cookies = values("cookie").flatMap((value) => value.split(";").map((pair) => pair.trim()));
  return [
    values("x-beta").includes("1"),
    pairs.getAll("a").includes("b c"),
    pairs.has("n m"),
    cookies.includes("c=d"),
    cookies.some((pair) => pair.startsWith("e=")),
  ];
}

function judge(input: Buffer): string {
  const to = parseRequest(input, 0, input.length, LIMITS, head);
  if (to <= 0) return "refused";
  const seen = conditions.map((condition) => condition.holds(input, head));
  const plain = plainly(input.toString("latin1"));
  if (seen.join() !== plain.join()) throw new Fault(`${seen} and not ${plain}`);
  return seen.map(Number).join("");
}

export const routeConditions: FuzzTarget = {
  summary: "what routes ask of fields, query and cookies: the same as plain readers and URLSearchParams find",
  run: eachInput(make, judge),
};
