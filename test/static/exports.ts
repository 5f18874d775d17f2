/** Values that are exported and that no other file names: a door that nobody goes through. */
const exported = /^export (?:async )?(?:const|let|function\*?|class) (\w+)/gm;

/** `files`: the text of every TypeScript file of the tree by its path, generated ones among them. */
export function idleExports(files: ReadonlyMap<string, string>): string[] {
  /** In how many files each word stands. */
  const standing = new Map<string, number>();
  for (const text of files.values())
    for (const word of new Set(text.match(/\w+/g))) standing.set(word, (standing.get(word) ?? 0) + 1);
  return [...files].flatMap(([path, text]) =>
    path.includes("generated/")
      ? []
      : [...text.matchAll(exported)].flatMap(([, name]) =>
          standing.get(name!) === 1 ? [`${path}: exports ${name}, which no other file names`] : [],
        ),
  );
}
