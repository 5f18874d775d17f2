import type { Token } from "./master-tokens.ts";

const MOST = 65_536;

/** `$` or `${offset,width,base}` in a word of $GENERATE, `\$` and `$$` being a dollar (BIND 9 ARM, "$GENERATE"). */
const PLACE = /\\\$|\$\$|\$(?:\{([^}]*\}?))?/g;
const MODIFIER = /^(-?\d{1,9})(?:,(\d{1,2})(?:,([doxX]))?)?\}$/;

/** A word with its places filled; null for a modifier that is none. */
function filled(word: string, value: number): string | null {
  let good = true;
  const text = word.replace(PLACE, (match, inside = "0}") => {
    if (match === "\\$" || match === "$$") return "$";
    const [whole, offset, width = "0", base = "d"] = MODIFIER.exec(inside) ?? [];
    good &&= whole !== undefined;
    const digits = (value + Number(offset)).toString(base === "d" ? 10 : base === "o" ? 8 : 16);
    return (base === "X" ? digits.toUpperCase() : digits).padStart(Number(width), "0");
  });
  return good ? text : null;
}

/**
 * The records of `$GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE RDATA`, as tokens, one after the other; a string says
 * what is wrong. At most 65,536 in one.
 */
export function generate(tokens: readonly Token[]): Iterable<Token[]> | string {
  const range = /^(\d{1,9})-(\d{1,9})(?:\/(\d{1,9}))?$/.exec(tokens[0]?.text ?? "");
  if (!range || tokens.length < 4) return "write START-STOP[/STEP] OWNER TYPE RDATA";
  const [start, stop, step] = [Number(range[1]), Number(range[2]), Number(range[3] ?? 1)];
  if (stop < start || step < 1) return "the range is empty";
  if ((stop - start) / step >= MOST) return `more than ${MOST} records`;
  const words = tokens.slice(1);
  const wrong = words.find(({ text }) => filled(text, start) === null);
  if (wrong) return `"${wrong.text}": write $ or \${OFFSET,WIDTH,BASE}, the base being d, o, x or X`;
  return (function* () {
    for (let value = start; value <= stop; value += step)
      yield words.map((token) => ({ ...token, text: filled(token.text, value)! }));
  })();
}
