import type { FieldBlock } from "./field-block.ts";
import { Field, fieldOf, mayBeNominated } from "./fields.ts";
import { element, nextToken } from "./list.ts";
import { ascii, isWord, LOWER } from "./octets.ts";

/** What the Connection fields of a message say, as bits. */
export const Option = { CLOSE: 1, KEEP_ALIVE: 2, UPGRADE: 4 } as const;

const close = ascii("close");
const keepAlive = ascii("keep-alive");
const upgrade = ascii("upgrade");

/**
 * Reads Connection field number `index`: marks the fields that it nominates as not to be forwarded (RFC 9110 7.6.1).
 * @returns bits of `Option`; -1 when the field is malformed.
 */
export function readConnection(bytes: Buffer, block: FieldBlock, index: number): number {
  const end = block.valueEnd[index]!;
  let at = block.value[index]!;
  let options = 0;
  for (;;) {
    at = nextToken(bytes, at, end);
    if (at === -1) return options;
    if (at === -2) return -1;
    const { start, end: stop } = element;
    if (isWord(bytes, start, stop, keepAlive)) options |= Option.KEEP_ALIVE;
    else if (isWord(bytes, start, stop, close)) options |= Option.CLOSE;
    else if (isWord(bytes, start, stop, upgrade)) options |= Option.UPGRADE;
    else if (mayBeNominated(bytes, start, stop)) nominate(bytes, block, start, stop);
  }
}

function nominate(bytes: Buffer, block: FieldBlock, start: number, end: number): void {
  const length = end - start;
  // Trailers of the known names never pass.
  if (fieldOf(bytes, start, end) === Field.OTHER) {
    block.nominated ??= [];
    block.nominated.push(bytes.toString("latin1", start, end).toLowerCase());
  }
  for (let k = 0; k < block.count; k++) {
    const name = block.name[k]!;
    if (block.nameEnd[k]! - name !== length) continue;
    let i = 0;
    while (i < length && LOWER[bytes[name + i]!] === LOWER[bytes[start + i]!]) i++;
    if (i === length) block.drop[k] = 1;
  }
}
