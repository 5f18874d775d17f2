/**
 * The rooms of `src/` in the order of their imports: a room may import only from rooms above it (and from itself).
 * The tree is the architecture; this list is what keeps it true.
 */
export const rooms = [
  "core",
  "runtime",
  "system",
  "observe",
  "protocols",
  "geo",
  "schedulers",
  "checks",
  "discovery",
  "relay",
  "dataplane",
  "methods",
  "catalog.ts",
  "config",
  "supervisor",
  "worker",
  "admin",
  "lab",
  "cli",
  "dashboard",
] as const;

/** Where `Bun.*` and `bun:` modules may stand: the one door, and programs that run outside the product. */
export const bunAllowed = [/^src\/runtime\//, /^src\/lab\/programs\//, /\.test\.ts$/];

/** Most lines of a file, and of a test file. */
export const longest = { file: 400, test: 800 };

/** Most lines of a C function; those of TypeScript are counted by the linter (biome.json). */
export const longestFunction = 80;
