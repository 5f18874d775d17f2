/**
 * Program of a throw-away child: bundles a TypeScript configuration, gives up its rights, evaluates the bundle and
 * sends what it exports as plain JSON. Arguments: the file, and where to write the bundle.
 */
import { chmodSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Path } from "../core/problem.ts";
import { bundleModule } from "../runtime/bundle.ts";
import { parentPort } from "../runtime/ipc.ts";
import { dropPrivileges } from "../runtime/privileges.ts";
import { toPlainValue } from "./plain-value.ts";

/** The child's one message. */
export type FromLoader = { kind: "value"; value: unknown; functions: Path[] } | { kind: "refused"; reasons: string[] };

async function load(file: string, bundle: string): Promise<FromLoader> {
  const built = await bundleModule(resolve(file), { sluice: resolve(import.meta.dirname, "define.ts") });
  if ("problems" in built) return { kind: "refused", reasons: built.problems };
  writeFileSync(bundle, built.text);
  chmodSync(bundle, 0o644);
  dropPrivileges();
  const module = (await import(pathToFileURL(resolve(bundle)).href)) as { default?: unknown };
  if (module.default === undefined)
    return { kind: "refused", reasons: ["The file exports no default: write `export default defineConfig({ … })`"] };
  const plain = toPlainValue(await module.default);
  return "refused" in plain ? { kind: "refused", reasons: [plain.refused] } : { kind: "value", ...plain };
}

const port = parentPort<never, FromLoader>();
const [file = "", bundle = ""] = process.argv.slice(2);
const answer = await load(file, bundle).catch(
  (error: unknown): FromLoader => ({
    kind: "refused",
    reasons: [error instanceof Error ? `${error.name}: ${error.message}` : String(error)],
  }),
);
port.send(answer);
port.onClosed(() => process.exit(0));
