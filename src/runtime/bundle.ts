/**
 * Bundles a TypeScript file and what it imports into one ES module's text. `alias` names modules that stand for
 * others (the product's own package name). Problems as text, one per entry.
 */
export async function bundleModule(
  entry: string,
  alias: Readonly<Record<string, string>> = {},
): Promise<{ text: string } | { problems: string[] }> {
  try {
    const built = await Bun.build({
      entrypoints: [entry],
      target: "bun",
      format: "esm",
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
    const [output] = built.outputs;
    if (built.success && output) return { text: await output.text() };
    return { problems: built.logs.map((log) => describe(log)) };
  } catch (error) {
    return { problems: [error instanceof Error ? error.message : String(error)] };
  }
}

function describe(log: { message: string; position?: { file: string; line: number; column: number } | null }): string {
  const at = log.position ? `${log.position.file}:${log.position.line}:${log.position.column}: ` : "";
  return `${at}${log.message}`;
}
