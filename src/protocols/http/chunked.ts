import { type BlockAnswers, type BlockLimits, FieldBlock, mayDecide, scanFields } from "./field-block.ts";
import { Field, isLike, mayBeNominated } from "./fields.ts";
import { CR, HEX, HTAB, LF, SEMICOLON, SP, VALUE } from "./octets.ts";
import { NEED_MORE } from "./refusal.ts";

const State = {
  SIZE_FIRST: 0,
  SIZE: 1,
  SPACE: 2,
  EXTENSION: 3,
  SIZE_LF: 4,
  DATA: 5,
  DATA_CR: 6,
  DATA_LF: 7,
  LAST: 8,
  LAST_LF: 9,
  TRAILER: 10,
  DONE: 11,
} as const;

/** Digits of a chunk's size, leading zeros too: more than any real sender writes. */
const SIZE_DIGITS = 16;
/** Bytes of chunk extensions in one body, their semicolons too; they end here and are worth nothing (RFC 9112 7.1.1). */
const EXTENSION_BYTES = 4096;
const TRAILER_LIMITS: BlockLimits = { size: 8192, fields: 64 };
const NONE: readonly Uint8Array[] = [];
/** The last chunk, which begins the tail. */
const LAST_CHUNK = Buffer.from("0\r\n");
const CRLF = Buffer.from("\r\n");
const END = Buffer.concat([LAST_CHUNK, CRLF]);
const MALFORMED = -1;
const answers: BlockAnswers = { malformed: MALFORMED, tooLarge: MALFORMED };

/**
 * Reads a chunked body as it comes (RFC 9112 7.1) and says which of its bytes to pass on: all but extensions and leading
 * zeros (`frames`), or the data alone. Holds no data; keeps at most 8 KiB of trailers. Its last chunk is passed on only
 * when the body is whole: some readers go no further, and some take even a zero that is cut off for it.
 */
export class ChunkedReader {
  /** Ranges of the last `feed`'s bytes to pass on: start, end, start, end … `count` numbers are valid. */
  readonly ranges: number[] = [];
  count = 0;
  /** What follows the ranges: the last chunk and the trailer section, cleaned; null where they have it, and without `frames`. */
  tail: Buffer | null = null;
  /** Bytes of data seen. */
  total = 0;
  private state: number = State.SIZE_FIRST;
  private left = 0;
  private digits = 0;
  private extensions = 0;
  private trailer: Buffer | null = null;
  private frames = true;
  private nominated: readonly string[] | null = null;
  private withheld = NONE;

  get done(): boolean {
    return this.state === State.DONE;
  }

  /**
   * Ready for a new body. `frames`: pass the chunk framing on too; else only data. Trailers that end here, in lower case:
   * `nominated` in the head's Connection (RFC 9110 7.6.1); `withheld`, also with `_` or `.` for `-` in their names.
   */
  reset(frames: boolean, nominated: readonly string[] | null, withheld: readonly Uint8Array[] = NONE): this {
    this.state = State.SIZE_FIRST;
    this.left = this.digits = this.extensions = this.total = this.count = 0;
    this.tail = this.trailer = null;
    this.frames = frames;
    this.nominated = nominated;
    this.withheld = withheld;
    return this;
  }

  /**
   * @returns offset of the first byte not used (`end` unless the body is done), or -1 when the body is malformed:
   * then nothing after the ranges may be passed on and both connections must go.
   */
  feed(bytes: Buffer, start: number, end: number): number {
    this.count = 0;
    this.tail = null;
    const { frames } = this;
    let open = frames && this.state === State.DATA;
    let from = start;
    let i = start;
    while (i < end && this.state < State.TRAILER) {
      if (this.state === State.DATA) {
        const stop = Math.min(end, i + this.left);
        if (!frames) this.put(i, stop);
        this.total += stop - i;
        this.left -= stop - i;
        i = stop;
        if (this.left === 0) this.state = State.DATA_CR;
        continue;
      }
      const next = this.step(bytes[i]!);
      if (next < 0) return MALFORMED;
      if (frames) {
        const keep = this.keeps(next);
        if (keep && !open) from = i;
        else if (!keep && open) this.put(from, i);
        open = keep;
      }
      this.state = next;
      if (next === State.TRAILER) break;
      i++;
    }
    if (open && i > from) this.put(from, i);
    if (frames && this.state === State.DONE) this.end(i);
    return this.state === State.TRAILER ? this.trailers(bytes, i, end) : i;
  }

  /** Is the octet that led to this state passed on? Of a size not its zeros in front, so of the last chunk nothing. */
  private keeps(next: number): boolean {
    if (next === State.DATA_LF || next === State.SIZE_FIRST) return true;
    return this.left > 0 && next !== State.SPACE && next !== State.EXTENSION;
  }

  /** The body is whole here: its last chunk goes along, in one piece with what is before it where nothing lies between. */
  private end(at: number): void {
    if (this.count > 0 && this.ranges[this.count - 1] === at - END.length) this.ranges[this.count - 1] = at;
    else this.tail = END;
  }

  private put(start: number, end: number): void {
    if (end <= start) return;
    this.ranges[this.count++] = start;
    this.ranges[this.count++] = end;
  }

  /** The state after one octet that is not data; -1 when it may not stand there. */
  private step(octet: number): number {
    switch (this.state) {
      case State.SIZE_FIRST:
      case State.SIZE:
        return this.sizeOctet(octet);
      case State.SPACE:
        if (octet === SEMICOLON) return this.extension(State.EXTENSION);
        return octet === SP || octet === HTAB ? this.extension(State.SPACE) : MALFORMED;
      case State.EXTENSION:
        if (octet === CR) return State.SIZE_LF;
        return VALUE[octet] === 1 ? this.extension(State.EXTENSION) : MALFORMED;
      case State.SIZE_LF:
        if (octet !== LF) return MALFORMED;
        return this.left === 0 ? State.LAST : State.DATA;
      case State.DATA_CR:
        return octet === CR ? State.DATA_LF : MALFORMED;
      case State.DATA_LF:
        this.digits = 0;
        return octet === LF ? State.SIZE_FIRST : MALFORMED;
      case State.LAST:
        return octet === CR ? State.LAST_LF : State.TRAILER;
      default: // LAST_LF
        return octet === LF ? State.DONE : MALFORMED;
    }
  }

  private sizeOctet(octet: number): number {
    const digit = HEX[octet]!;
    if (digit !== 255) {
      // 2^49 * 16 is the last step that stays a safe integer.
      if (++this.digits > SIZE_DIGITS || this.left >= 2 ** 49) return MALFORMED;
      this.left = this.left * 16 + digit;
      return State.SIZE;
    }
    if (this.state === State.SIZE_FIRST) return MALFORMED;
    if (octet === CR) return State.SIZE_LF;
    if (octet === SEMICOLON) return this.extension(State.EXTENSION);
    return octet === SP || octet === HTAB ? this.extension(State.SPACE) : MALFORMED;
  }

  /** One more octet of extensions, after which this is the state. */
  private extension(next: number): number {
    return ++this.extensions <= EXTENSION_BYTES ? next : MALFORMED;
  }

  /** Gathers the trailer section, then checks and cleans it. */
  private trailers(bytes: Buffer, start: number, end: number): number {
    const had = this.trailer?.length ?? 0;
    const fresh = bytes.subarray(start, end);
    const all = this.trailer === null ? fresh : Buffer.concat([this.trailer, fresh]);
    const decides = mayDecide(fresh, all.length, TRAILER_LIMITS);
    const after = decides ? scanFields(all, 0, 0, all.length, trailerBlock, TRAILER_LIMITS, answers) : NEED_MORE;
    if (after < 0) return MALFORMED;
    if (after === NEED_MORE) {
      // The chunk's memory is used again.
      this.trailer = all === fresh ? Buffer.from(all) : all;
      return end;
    }
    this.trailer = null;
    this.state = State.DONE;
    if (this.frames) this.tail = cleanTrailers(all, trailerBlock, this.nominated, this.withheld);
    return start + after - had;
  }
}

const trailerBlock = new FieldBlock(TRAILER_LIMITS.fields);

/**
 * The last chunk; trailer lines that may be passed on (RFC 9110 6.5.1): none that frames, routes or authenticates, that
 * Connection names, or that is withheld; then the empty line.
 */
function cleanTrailers(
  bytes: Buffer,
  block: FieldBlock,
  nominated: readonly string[] | null,
  withheld: readonly Uint8Array[],
): Buffer {
  const lines: Buffer[] = [LAST_CHUNK];
  for (let k = 0; k < block.count; k++) {
    const [start, end] = [block.name[k]!, block.nameEnd[k]!];
    const plain = block.id[k] === Field.OTHER && mayBeNominated(bytes, start, end);
    const stays = nominated === null || !nominated.includes(bytes.toString("latin1", start, end).toLowerCase());
    const free = !withheld.some((name) => isLike(bytes, start, end, name));
    if (plain && stays && free) lines.push(bytes.subarray(block.name[k]!, block.name[k + 1]!));
  }
  lines.push(CRLF);
  return Buffer.concat(lines);
}
