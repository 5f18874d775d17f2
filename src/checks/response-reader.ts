/** Most bytes of a response that a check reads, head and body together. */
export const READ_LIMIT = 64 * 1024;

/** 1xx responses before the final one; the relay takes as many. */
const INTERIMS = 32;

const HEAD_END = Buffer.from("\r\n\r\n");
/**
 * RFC 9110 section 5.6.2. The white space around the value is taken off by `unpadded`: an expression that did it would try
 * all ways to share out a long run of it.
 */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\u0020-\u007e\u0080-\u00ff]*)$/;

const isBlank = (text: string, at: number): boolean => text[at] === " " || text[at] === "\t";

/** A field's value without the white space around it. */
function unpadded(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text, from)) from++;
  while (to > from && isBlank(text, to - 1)) to--;
  return text.slice(from, to);
}

/** Bytes that grow, up to the limit. One-byte chunks must not cost a copy of everything each. */
class Bytes {
  #store = Buffer.allocUnsafe(2048);
  length = 0;
  append(chunk: Uint8Array): void {
    if (this.length + chunk.length > this.#store.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#store.length * 2, this.length + chunk.length));
      this.#store.copy(larger, 0, 0, this.length);
      this.#store = larger;
    }
    this.#store.set(chunk, this.length);
    this.length += chunk.length;
  }
  get view(): Buffer {
    return this.#store.subarray(0, this.length);
  }
  /** Takes the first `count` out. */
  drop(count: number): void {
    this.#store.copyWithin(0, count, this.length);
    this.length -= count;
  }
}

type Framing = { kind: "none" } | { kind: "length"; left: number } | { kind: "chunked" } | { kind: "close" };
/** Where in a chunked body: before a size line, `left` bytes inside a chunk, at the line feed after one, in trailers. */
type ChunkPlace = { at: "size" } | { at: "data"; left: number } | { at: "feed" } | { at: "trailers" };

/**
 * Reads one HTTP/1 response (RFC 9112) from a backend that may be hostile: bounded, strict about what is ambiguous,
 * never throws, and the same for every way the bytes are cut. Interim responses (1xx but 101) are passed over.
 */
export class ResponseReader {
  /** `full`: the limit was reached first. `bad`: not HTTP; `fault` says why. */
  state: "head" | "body" | "done" | "full" | "bad" = "head";
  fault = "";
  /** 0 until the head is whole. */
  status = 0;
  readonly #body = new Bytes();
  readonly #headOnly: boolean;
  #pending = new Bytes();
  #searched = 0;
  #interims = 0;
  #read = 0;
  #framing: Framing = { kind: "none" };
  #place: ChunkPlace = { at: "size" };

  /** @param method of the request: the response to HEAD has no body. */
  constructor(method: "GET" | "HEAD") {
    this.#headOnly = method === "HEAD";
  }

  /** The body so far, decoded. */
  get body(): Buffer {
    return this.#body.view;
  }

  push(chunk: Uint8Array): void {
    if (this.state !== "head" && this.state !== "body") return;
    const room = READ_LIMIT - this.#read;
    const taken = chunk.length > room ? chunk.subarray(0, room) : chunk;
    this.#read += taken.length;
    if (this.state === "head") this.#readHead(taken);
    else this.#readBody(taken);
    if (this.#open() && this.#read >= READ_LIMIT) {
      if (this.state === "head") this.#refuse(`head over ${READ_LIMIT} bytes`);
      else this.state = "full";
    }
  }

  /** The backend closed its side: ends a body that runs until then. False: the response is not whole. */
  end(): boolean {
    if (this.state === "body" && this.#framing.kind === "close") this.state = "done";
    return this.state === "done";
  }

  #open(): boolean {
    return this.state === "head" || this.state === "body";
  }

  #refuse(fault: string): void {
    this.state = "bad";
    this.fault = fault;
  }

  #readHead(chunk: Uint8Array): void {
    this.#pending.append(chunk);
    for (;;) {
      const bytes = this.#pending.view;
      const end = bytes.indexOf(HEAD_END, Math.max(0, this.#searched - 3));
      // Whoever does not speak HTTP at all is told apart at once, not at the time-out.
      if (!"HTTP/1.".startsWith(bytes.toString("latin1", 0, Math.min(7, bytes.length))))
        this.#refuse("answer is not HTTP");
      this.#searched = bytes.length;
      if (end < 0 || this.fault !== "") return;
      const interim = this.#parseHead(bytes.toString("latin1", 0, end));
      if (interim && ++this.#interims > INTERIMS) this.#refuse("too many interim responses");
      if (this.fault !== "") return;
      this.#searched = 0;
      if (!interim) {
        const rest = bytes.subarray(end + 4);
        this.#pending = new Bytes(); // its memory is the rest's
        this.#begin();
        if (rest.length > 0 && this.#open()) this.#readBody(rest);
        return;
      }
      this.#pending.drop(end + 4);
      if (this.#pending.length === 0) return;
    }
  }

  /** True for an interim response. */
  #parseHead(text: string): boolean {
    const [first = "", ...lines] = text.split("\r\n");
    const match = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [\t\u0020-\u007e\u0080-\u00ff]*)?$/.exec(first);
    if (!match) {
      this.#refuse("status line is malformed");
      return false;
    }
    const status = Number(match[1]);
    const interim = status < 200 && status !== 101;
    if (this.#parseFields(lines) && !interim) this.status = status;
    return interim;
  }

  #parseFields(lines: readonly string[]): boolean {
    let length: string | undefined;
    let coding: string | undefined;
    for (const line of lines) {
      const field = FIELD.exec(line);
      if (!field) {
        this.#refuse("a header line is malformed");
        return false;
      }
      const name = field[1]!.toLowerCase();
      const value = unpadded(field[2]!);
      if (name === "content-length") {
        if (!/^\d{1,15}$/.test(value) || (length !== undefined && length !== value)) {
          this.#refuse("Content-Length is ambiguous");
          return false;
        }
        length = value;
      } else if (name === "transfer-encoding") coding = coding === undefined ? value : `${coding},${value}`;
    }
    if (coding !== undefined && (coding.toLowerCase() !== "chunked" || length !== undefined)) {
      this.#refuse("Transfer-Encoding is ambiguous");
      return false;
    }
    this.#framing = coding
      ? { kind: "chunked" }
      : length
        ? { kind: "length", left: Number(length) }
        : { kind: "close" };
    return true;
  }

  /** RFC 9112 section 6.3: which responses have no body. */
  #begin(): void {
    const { status } = this;
    const none = this.#headOnly || status === 101 || status === 204 || status === 304;
    if (none || (this.#framing.kind === "length" && this.#framing.left === 0)) this.state = "done";
    else this.state = "body";
  }

  #readBody(chunk: Uint8Array): void {
    const framing = this.#framing;
    if (framing.kind === "chunked") {
      this.#readChunks(chunk);
      return;
    }
    const taken = framing.kind === "length" ? chunk.subarray(0, framing.left) : chunk;
    this.#body.append(taken);
    if (framing.kind !== "length") return;
    framing.left -= taken.length;
    if (framing.left === 0) this.state = "done";
  }

  #readChunks(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && this.state === "body") {
      const place = this.#place;
      if (place.at === "data") {
        const taken = chunk.subarray(at, at + place.left);
        this.#body.append(taken);
        at += taken.length;
        place.left -= taken.length;
        if (place.left === 0) this.#place = { at: "feed" };
      } else at = this.#readLine(chunk, at);
    }
  }

  /** Collects up to a line feed, then acts on the line. Returns where to go on. */
  #readLine(chunk: Uint8Array, start: number): number {
    const feed = chunk.indexOf(0x0a, start);
    const end = feed < 0 ? chunk.length : feed + 1;
    this.#pending.append(chunk.subarray(start, end));
    if (feed < 0) {
      if (this.#pending.length > 4096) this.#refuse("a chunk's line is too long");
      return end;
    }
    const line = this.#pending.view.toString("latin1");
    this.#pending.drop(line.length);
    if (!line.endsWith("\r\n")) this.#refuse("chunked body is malformed");
    else this.#chunkLine(line.slice(0, -2));
    return end;
  }

  #chunkLine(line: string): void {
    const place = this.#place.at;
    if (place === "feed" && line === "") this.#place = { at: "size" };
    else if (place === "size") {
      const size = /^([0-9a-fA-F]{1,8})[ \t]*(?:;[\t\u0020-\u007e\u0080-\u00ff]*)?$/.exec(line);
      const left = size ? Number.parseInt(size[1]!, 16) : -1;
      if (left < 0) this.#refuse("chunked body is malformed");
      else this.#place = left === 0 ? { at: "trailers" } : { at: "data", left };
    } else if (place === "trailers" && line === "") this.state = "done";
    else if (place === "feed") this.#refuse("chunked body is malformed");
    else if (!FIELD.test(line)) this.#refuse("a trailer line is malformed");
  }
}
