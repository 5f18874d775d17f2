import { closestWord } from "../core/words.ts";

/** The end of an error about `word`, which is none of `known`: names the one that was meant, when one is close. */
export function meant(word: string, known: readonly string[]): string {
  const closest = closestWord(word, known);
  return closest === undefined ? "" : `; did you mean "${closest}"?`;
}
