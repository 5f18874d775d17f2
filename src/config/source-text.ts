import type { Place } from "../core/problem.ts";

/** A configuration file's text, cut into lines once. Columns are UTF-16 units, counted from 1. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
  /** Text of a line without its end; empty beyond the file. */
  line(number: number): string;
  /** The place of `text[start..end)`; never longer than the line it begins on, never outside the file. */
  place(start: number, end: number): Place;
}

/** Makes the line index of a file. */
export function createSourceText(file: string, text: string): SourceText {
  const starts = [0];
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) starts.push(i + 1);
  const line = (number: number): string => {
    const start = starts[number - 1];
    if (start === undefined) return "";
    return text.slice(start, starts[number] === undefined ? text.length : starts[number] - 1).replace(/\r$/, "");
  };
  const lineOf = (offset: number): number => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
  return {
    file,
    text,
    line,
    place(start, end) {
      const from = Math.max(0, Math.min(start, text.length));
      const number = lineOf(from);
      const column = from - starts[number - 1]! + 1;
      const lineEnd = line(number).length + 1;
      const wanted = column + Math.max(1, Math.min(end, text.length) - from);
      return {
        file,
        line: number,
        column,
        endColumn: Math.max(column + 1, Math.min(wanted, Math.max(lineEnd, column + 1))),
      };
    },
  };
}

/** A whole file as a place: what has no position of its own (a TypeScript configuration's values). */
export const wholeFile = (file: string): Place => ({ file, line: 1, column: 1, endColumn: 1 });
