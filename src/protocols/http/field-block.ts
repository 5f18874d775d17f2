import { fieldOf } from "./fields.ts";
import { COLON, CR, HTAB, isWord, LF, SP, TOKEN, VALUE } from "./octets.ts";
import { NEED_MORE } from "./refusal.ts";

/** What a block may cost. Sizes in bytes, counted from the message's first byte. */
export interface BlockLimits {
  readonly size: number;
  readonly fields: number;
}

/** Answers for the three ways a block can be wrong, by the caller's side (request, response, trailer). */
export interface BlockAnswers {
  readonly malformed: number;
  readonly tooLarge: number;
}

/**
 * The field lines of one message as offsets into its bytes: no string, no object per field. One block is used over and
 * over; its content is valid until the next scan.
 */
export class FieldBlock {
  count = 0;
  /** A line runs from `name[i]` to `name[i + 1]` (its CR LF included); `name[count]` is the end of the last. */
  readonly name: Int32Array;
  readonly nameEnd: Int32Array;
  /** Value without the white space around it. */
  readonly value: Int32Array;
  readonly valueEnd: Int32Array;
  readonly id: Uint8Array;
  /** 1: not to be forwarded. */
  readonly drop: Uint8Array;
  /** What Connection names, lower case: trailers of these names are not to be forwarded either. Null: nothing of note. */
  nominated: string[] | null = null;

  constructor(capacity: number) {
    this.name = new Int32Array(capacity + 1);
    this.nameEnd = new Int32Array(capacity);
    this.value = new Int32Array(capacity);
    this.valueEnd = new Int32Array(capacity);
    this.id = new Uint8Array(capacity);
    this.drop = new Uint8Array(capacity);
  }

  /** Index of the first field of that id, or -1. */
  find(id: number): number {
    for (let i = 0; i < this.count; i++) if (this.id[i] === id) return i;
    return -1;
  }
}

/** The value of the first field of that name (lower case), as latin1; null: there is none. */
export function fieldText(bytes: Buffer, block: FieldBlock, name: Uint8Array): string | null {
  for (let k = 0; k < block.count; k++)
    if (isWord(bytes, block.name[k]!, block.nameEnd[k]!, name))
      return bytes.toString("latin1", block.value[k]!, block.valueEnd[k]!);
  return null;
}

/**
 * Reads field lines from `at` up to and with the empty line (RFC 9112 5). A verdict is only given on whole lines, so
 * the answer does not hang on how the bytes were cut.
 * @returns offset after the empty line; NEED_MORE; or one of `answers`.
 */
export function scanFields(
  bytes: Buffer,
  start: number,
  at: number,
  end: number,
  block: FieldBlock,
  limits: BlockLimits,
  answers: BlockAnswers,
): number {
  const { name, nameEnd, value, valueEnd, id, drop } = block;
  const last = start + limits.size;
  block.nominated = null;
  let count = 0;
  let i = at;
  for (;;) {
    const line = i;
    if (i < end && bytes[i] === CR) {
      if (i + 1 < end && bytes[i + 1] === LF) {
        if (i + 2 > last) return answers.tooLarge;
        block.count = count;
        name[count] = i;
        return i + 2;
      }
      return unfinished(bytes, i, start, end, limits, answers);
    }
    while (i < end && TOKEN[bytes[i]!] === 1) i++;
    const colon = i;
    if (i >= end || bytes[i] !== COLON || i === line) return unfinished(bytes, i, start, end, limits, answers);
    i++;
    while (i < end && (bytes[i] === SP || bytes[i] === HTAB)) i++;
    const from = i;
    while (i < end && VALUE[bytes[i]!] === 1) i++;
    if (i + 1 >= end || bytes[i] !== CR || bytes[i + 1] !== LF)
      return unfinished(bytes, i, start, end, limits, answers);
    let to = i;
    while (to > from && (bytes[to - 1] === SP || bytes[to - 1] === HTAB)) to--;
    i += 2;
    if (i > last || count >= limits.fields) return answers.tooLarge;
    name[count] = line;
    nameEnd[count] = colon;
    value[count] = from;
    valueEnd[count] = to;
    id[count] = fieldOf(bytes, line, colon);
    drop[count] = 0;
    count++;
  }
}

/** The line that `at` stands in is wrong or not whole: which, only its LF tells. */
export function unfinished(
  bytes: Buffer,
  at: number,
  start: number,
  end: number,
  limits: BlockLimits,
  answers: BlockAnswers,
): number {
  const feed = lineFeed(bytes, at, end);
  if (feed < 0) return end - start > limits.size ? answers.tooLarge : NEED_MORE;
  return feed + 1 - start > limits.size ? answers.tooLarge : answers.malformed;
}

/**
 * A head or trailer section is judged by whole lines. May `fresh`, the last that came of its `size` bytes, change what is
 * said of it? If not, there is no need to read it again, which costs as much as all that is there.
 */
export const mayDecide = (fresh: Buffer, size: number, limits: BlockLimits): boolean =>
  fresh.includes(LF) || size > limits.size;

/** Offset of the next LF at or after `at`, -1 when there is none before `end`. */
export function lineFeed(bytes: Buffer, at: number, end: number): number {
  const feed = bytes.indexOf(LF, at);
  return feed < end ? feed : -1;
}
