import { ChunkedReader } from "../../../src/protocols/http/chunked.ts";
import { words } from "./http-words.ts";
import { below, cuts, damage, eachInput, Fault, type FuzzTarget, oneOf, type Random } from "./target.ts";

const reader = new ChunkedReader();

interface Decoded {
  out: string;
  end: string;
}

/** What is passed on of a body that comes in pieces, and how it ended. */
function decode(input: Buffer, ends: readonly number[], frames: boolean): Decoded {
  reader.reset(frames, null);
  let out = "";
  let from = 0;
  for (const end of ends) {
    const to = reader.feed(input, from, end);
    if (to < 0) return { out: "", end: "malformed" };
    if (to > end) throw new Fault(`${to - end} octets were read that are not there`);
    for (let k = 0; k < reader.count; k += 2) out += input.toString("latin1", reader.ranges[k], reader.ranges[k + 1]);
    out += reader.tail?.toString("latin1") ?? "";
    from = to;
    if (reader.done) return { out, end: `done at ${to}` };
  }
  return { out, end: "need more" };
}

const CHUNK = /^([0-9a-f]{1,16})(?:[ \t]*;[\t -~\x80-\xff]*)?\r\n/i;
const CHUNK_WITHOUT_EXTENSION = /^([0-9a-f]{1,16})\r\n/i;

/** The data of a whole body by the grammar of RFC 9112 7.1, the simple way; null when it does not follow it. */
function plainData(text: string, pattern: RegExp): string | null {
  let data = "";
  let at = 0;
  for (;;) {
    const [line, size] = pattern.exec(text.slice(at)) ?? [];
    if (line === undefined) return null;
    at += line.length;
    const length = Number.parseInt(size!, 16);
    if (length === 0) break;
    if (text.slice(at + length, at + length + 2) !== "\r\n") return null;
    data += text.slice(at, at + length);
    at += length + 2;
  }
  return /^([!#$%&'*+\-.^_`|~0-9a-z]+:[\t -~\x80-\xff]*\r\n)*\r\n$/i.test(text.slice(at)) ? data : null;
}

function make(random: Random): Buffer {
  let text = "";
  for (let i = below(random, 4); i > 0; i--) {
    const data = oneOf(random, ["a", "hello", "0\r\n\r\n", "x".repeat(1 + below(random, 40))]);
    const size = data.length.toString(16);
    const extension = oneOf(random, ["", "", ";x", " ;y=z", '; q="1;2"']);
    text += `${oneOf(random, ["", "00"])}${size}${extension}\r\n${data}\r\n`;
  }
  text += `0\r\n${oneOf(random, ["", "", "Sum: 1\r\n", "Host: b\r\nSum: 1\r\n"])}\r\n`;
  const next = oneOf(random, ["", "GET / HTTP/1.1\r\n"]);
  return Buffer.from(damage(text, below(random, 3), words, random) + next, "latin1");
}

function judge(input: Buffer, random: Random): string {
  const whole = [input.length];
  const ends = cuts(random, input.length);
  const framed = decode(input, whole, true);
  const data = decode(input, whole, false);
  for (const [frames, same] of [
    [true, framed],
    [false, data],
  ] as const) {
    const cut = decode(input, ends, frames);
    if (cut.end !== same.end || (same.end !== "malformed" && cut.out !== same.out))
      throw new Fault(`${same.end} whole, but ${cut.end} when cut at ${ends}`);
  }
  if (framed.end !== data.end) throw new Fault(`${framed.end} with frames, ${data.end} without`);
  if (!framed.end.startsWith("done")) return framed.end;
  const used = input.toString("latin1", 0, Number(framed.end.slice(8)));
  if (plainData(used, CHUNK) !== data.out) throw new Fault("a plain reader sees other data");
  const sent = Buffer.from(framed.out, "latin1");
  const read = decode(sent, [sent.length], false);
  if (read.end !== `done at ${sent.length}` || read.out !== data.out)
    throw new Fault("what is passed on reads as another body");
  if (plainData(framed.out, CHUNK_WITHOUT_EXTENSION) !== data.out) throw new Fault("an extension is passed on");
  return `done: ${data.out.length === 0 ? "empty" : "data"}, ${framed.out.endsWith("0\r\n\r\n") ? "no trailers" : "trailers"}${used.length < input.length ? ", more follows" : ""}`;
}

export const chunked: FuzzTarget = {
  summary:
    "chunked bodies: any cut gives the same; a plain reader sees the same data; what is passed on reads the same",
  run: eachInput(make, judge),
};
