/**
 * Program of a throw-away child: bundles a TypeScript configuration, gives up its rights, evaluates the bundle and
 * sends what it exports as plain JSON. Arguments: the file, and where to write the bundle.
 */
import { chmodSync, realpathSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Path } from "../core/problem.ts";
import { type Bundle, type BundleProblem, bundleModule } from "../runtime/bundle.ts";
import { parentPort } from "../runtime/ipc.ts";
import { dropPrivileges } from "../runtime/privileges.ts";
import { toPlainValue } from "./plain-value.ts";

/** The child's one message. */
export type FromLoader =
  | { kind: "value"; value: unknown; functions: Path[] }
  | { kind: "refused"; reasons: BundleProblem[] };

const refused = (message: string): FromLoader => ({ kind: "refused", reasons: [{ message, at: null }] });

async function load(file: string, path: string): Promise<FromLoader> {
  const built = await bundleModule(resolve(file), { sluice: resolve(import.meta.dirname, "define.ts") });
  if ("problems" in built) return { kind: "refused", reasons: built.problems };
  writeFileSync(path, built.text);
  chmodSync(path, 0o644);
  const module = realpathSync(path);
  dropPrivileges();
  return evaluate(module).catch((error: unknown) => ({ kind: "refused", reasons: [thrown(error, built, module)] }));
}

async function evaluate(path: string): Promise<FromLoader> {
  const module = (await import(pathToFileURL(path).href)) as { default?: unknown };
  if (module.default === undefined)
    return refused("The file exports no default: write `export default defineConfig({ … })`");
  const plain = toPlainValue(await module.default);
  return "refused" in plain ? refused(plain.refused) : { kind: "value", ...plain };
}

/** What the code threw, and the place of its sources that the innermost frame within the bundle comes from. */
function thrown(error: unknown, bundle: Bundle, path: string): BundleProblem {
  if (!(error instanceof Error)) return { message: String(error), at: null };
  const frame = new RegExp(`^ +at .*${RegExp.escape(path)}:(\\d+):(\\d+)\\)?$`, "m").exec(error.stack ?? "");
  const at = frame ? bundle.origin(Number(frame[1]), Number(frame[2])) : null;
  return { message: `${error.name}: ${error.message}`, at };
}

const port = parentPort<never, FromLoader>();
const [file = "", bundle = ""] = process.argv.slice(2);
const answer = await load(file, bundle).catch((error: unknown) => refused(String(error)));
port.send(answer);
port.onClosed(() => process.exit(0));
