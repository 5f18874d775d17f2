import { SourceMap } from "node:module";
import { resolve } from "node:path";

/** A place in a source file; line and column count from 1. */
export interface SourcePlace {
  file: string;
  line: number;
  column: number;
}

/** What is wrong with a source, and where, when that is known. */
export interface BundleProblem {
  message: string;
  at: SourcePlace | null;
}

/** One ES module's text, and which place of the sources a place of it comes from; null: none. */
export interface Bundle {
  text: string;
  origin(line: number, column: number): SourcePlace | null;
}

/**
 * Bundles a TypeScript file and what it imports into one ES module's text. `alias` names modules that stand for
 * others (the product's own package name).
 */
export async function bundleModule(
  entry: string,
  alias: Readonly<Record<string, string>> = {},
): Promise<Bundle | { problems: BundleProblem[] }> {
  try {
    const built = await Bun.build({
      entrypoints: [entry],
      target: "bun",
      format: "esm",
      sourcemap: "external",
      throw: false,
      plugins: [
        {
          name: "alias",
          setup(build) {
            for (const [name, path] of Object.entries(alias))
              build.onResolve({ filter: new RegExp(`^${RegExp.escape(name)}$`) }, () => ({ path }));
          },
        },
      ],
    });
    const [output, map] = built.outputs;
    if (!built.success || !output) return { problems: built.logs.map(toProblem) };
    const sources = new SourceMap(JSON.parse(await map!.text()));
    return { text: await output.text(), origin: (line, column) => originIn(sources, line, column) };
  } catch (error) {
    return { problems: [{ message: error instanceof Error ? error.message : String(error), at: null }] };
  }
}

function toProblem({ message, position }: { message: string; position?: SourcePlace | null }): BundleProblem {
  if (!position?.file || position.line < 1) return { message, at: null };
  const { file, line, column } = position;
  return { message, at: { file, line, column: Math.max(1, column) } };
}

/** The map counts from 0 and names files from the working directory. */
function originIn(map: SourceMap, line: number, column: number): SourcePlace | null {
  const entry = map.findEntry(line - 1, column - 1);
  if (!("originalSource" in entry)) return null;
  const { originalSource, originalLine, originalColumn } = entry;
  return { file: resolve(originalSource), line: originalLine + 1, column: originalColumn + 1 };
}
