import type { Token } from "./master-tokens.ts";

const MOST = 65_536;

/** `$` or `${offset,width,base}` in a word of $GENERATE, `\$` and `$$` being a dollar (BIND 9 ARM, "$GENERATE"). */
const PLACE = /\\\$|\$\$|\$(?:\{(-?\d{1,9})(?:,(\d{1,2})(?:,([doxX]))?)?\})?/g;

function filled(word: string, value: number): string {
  return word.replace(PLACE, (match, offset = "0", width = "0", base = "d") => {
    if (match === "\\$" || match === "$$") return "$";
    const shifted = value + Number(offset);
    const digits = shifted.toString(base === "d" ? 10 : base === "o" ? 8 : 16);
    return (base === "X" ? digits.toUpperCase() : digits).padStart(Number(width), "0");
  });
}

/**
 * The records of `$GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE RDATA`, as tokens; a string says what is
 * wrong. At most 65,536 in one.
 */
export function generate(tokens: readonly Token[]): Token[][] | string {
  const range = /^(\d{1,9})-(\d{1,9})(?:\/(\d{1,9}))?$/.exec(tokens[0]?.text ?? "");
  if (!range || tokens.length < 4) return "write START-STOP[/STEP] OWNER TYPE RDATA";
  const [start, stop, step] = [Number(range[1]), Number(range[2]), Number(range[3] ?? 1)];
  if (stop < start || step < 1) return "the range is empty";
  if ((stop - start) / step >= MOST) return `more than ${MOST} records`;
  const made: Token[][] = [];
  for (let value = start; value <= stop; value += step)
    made.push(tokens.slice(1).map((token) => ({ ...token, text: filled(token.text, value) })));
  return made;
}
