import type { Place } from "../core/problem.ts";
import { painter } from "../observe/paint.ts";
import type { SourceText } from "./source-text.ts";

const tones = { bold: 1, red: 31, yellow: 33 } as const;

/** Text in a colour, when colour is wanted. */
export const paint = (text: string, tone: keyof typeof tones, color: boolean): string =>
  painter(color)(tones[tone], text);

/** May this stream show colour? A terminal, without NO_COLOR (no-color.org). */
export const wantsColor = (stream: { isTTY?: boolean }): boolean =>
  stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";

const unsafe = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Without what would move the cursor or turn the text around; one column each. */
export const plain = (text: string): string => text.replace(unsafe, "\u00b7");

/** Characters that a terminal draws two columns wide (East Asian wide and emoji, the common ranges). */
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;

/** Blank text as wide as `text`; tabs stay, since only the terminal knows their width. */
function blank(text: string): string {
  let out = "";
  for (const c of text) out += c === "\t" ? "\t" : wide.test(c) ? "  " : " ";
  return out;
}

/** Longest piece of a line that is shown, in characters. */
const MAX_LINE = 140;

export interface Excerpt {
  /** `   5 |     scheduler: maglv` */
  line: string;
  /** What stands before the carets, as wide as the text above them. */
  margin: string;
  carets: string;
}

/** The line of a place, cut to a readable length around it, and the carets for the line below. */
export function excerpt(source: SourceText, place: Place): Excerpt {
  const whole = plain(source.line(place.line));
  const column = place.column - 1;
  const start = whole.length > MAX_LINE ? Math.max(0, Math.min(column - 40, whole.length - MAX_LINE)) : 0;
  const piece = whole.slice(start, start + MAX_LINE);
  const before = piece.slice(0, column - start);
  const marked = piece.slice(column - start, place.endColumn - 1 - start);
  const left = start > 0 ? "…" : "";
  const right = start + MAX_LINE < whole.length ? "…" : "";
  return {
    line: `${String(place.line).padStart(4)} | ${left}${piece}${right}`.trimEnd(),
    margin: `     | ${left ? " " : ""}${blank(before)}`,
    carets: "^".repeat(Math.max(1, blank(marked).length)),
  };
}
