// C0 and C1 controls, line and paragraph separators, and the marks that turn text round: each could forge or hide a line.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Text that may hold strangers' bytes, safe to print on one line of a terminal or a log. */
export const printable = (text: string): string => text.replace(UNSAFE, escaped);

const escaped = (character: string): string =>
  character === "\n"
    ? "\\n"
    : character === "\r"
      ? "\\r"
      : character === "\t"
        ? "\\t"
        : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
