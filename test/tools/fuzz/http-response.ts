import { ascii } from "../../../src/protocols/http/octets.ts";
import { NEED_MORE, refusalOf } from "../../../src/protocols/http/refusal.ts";
import { Framing, parseResponse, ResponseHead } from "../../../src/protocols/http/response.ts";
import { writeResponse } from "../../../src/protocols/http/write.ts";
import { fieldLines, plainLines, words } from "./http-words.ts";
import { below, cuts, damage, eachInput, Fault, type FuzzTarget, oneOf, type Random } from "./target.ts";

const LIMITS = { size: 1024, fields: 12 };
const WIDE = { size: 8192, fields: 64 };
const head = new ResponseHead(LIMITS);
const again = new ResponseHead(WIDE);
const out = Buffer.alloc(16_384);
const date = ascii("Date: now\r\n");

function make(random: Random): Buffer {
  const status = oneOf(random, [
    "200 OK",
    "204 No Content",
    "205 Reset Content",
    "304 Not Modified",
    "100 Continue",
    "101 Go",
    "404",
    "503 ",
  ]);
  const text = `HTTP/1.${oneOf(random, [1, 1, 0])} ${status}\r\n${fieldLines(random)}\r\n`;
  return Buffer.from(damage(text, below(random, 4), words, random) + oneOf(random, ["", "hello"]), "latin1");
}

function judge(input: Buffer, random: Random): string {
  const asked = { isHead: random() < 0.2 };
  const parse = (end: number): number => parseResponse(input, 0, end, LIMITS, asked, head);
  const verdict = parse(input.length);
  const ends = cuts(random, input.length);
  const cut = ends.map(parse).find((each) => each !== NEED_MORE) ?? NEED_MORE;
  if (cut !== verdict) throw new Fault(`${verdict} whole, but ${cut} when cut at ${ends}`);
  if (verdict === NEED_MORE) return "need more";
  if (verdict < 0) return refusalOf(verdict).why;
  parse(input.length);
  const { status, framing, length, minor, keepAlive } = head;
  const chunked = minor === 1;
  const size = writeResponse(out, 0, input, head, { close: false, chunked, date });
  judgeWritten(out.toString("latin1", 0, size), status);
  const read = parseResponse(out, 0, size, WIDE, asked, again);
  if (read !== size) throw new Fault(`what is sent on reads as ${read}, not ${size}`);
  const plain = chunked || framing !== Framing.CHUNKED;
  if (plain && (again.status !== status || again.framing !== framing || again.length !== lengthSent(status, length)))
    throw new Fault(
      `status ${status}, framing ${framing}, length ${length} is sent on as ${again.status}, ${again.framing}, ${again.length}`,
    );
  return `read: ${Math.floor(status / 100)}xx, 1.${minor}, framing ${framing}${keepAlive ? ", kept" : ""}${asked.isHead ? ", HEAD" : ""}`;
}

/** The Content-Length that goes on; -1: none. */
const lengthSent = (status: number, length: number): number =>
  status === 204 || status < 200 ? -1 : status === 205 ? 0 : length;

function judgeWritten(text: string, status: number): void {
  const lines = plainLines(text);
  if (lines === null) throw new Fault("what is sent on is not plain lines");
  if (!/^HTTP\/1\.1 \d{3} [^\r\n\0]*$/.test(lines.start)) throw new Fault("a malformed status line is sent on");
  const all = (name: string): string[] => lines.fields.filter(([is]) => is === name).map(([, value]) => value);
  const framings = all("content-length").length + all("transfer-encoding").length;
  if (framings > 1) throw new Fault("two framings are sent on");
  if ((status === 204 || status < 200) && framings > 0) throw new Fault(`a framing is sent on with ${status}`);
  if (status >= 200 && all("date").length === 0) throw new Fault("no Date is sent on");
}

export const httpResponse: FuzzTarget = {
  summary: "response heads: any cut gives the same verdict; what is sent on has one framing, and reads as the same",
  run: eachInput(make, judge),
};
