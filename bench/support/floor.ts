import { join } from "node:path";
import { runSync } from "../../src/runtime/child.ts";
import { freePort, SERVER_CORE, startPinned, untilOpen } from "./pinned.ts";
import { type Server, toServer } from "./servers.ts";

const source = new URL("./plain-relay.c", import.meta.url).pathname;

/** What relays without doing anything else (`plain-relay.c`), over one connection and more to each of so many addresses. */
export async function startFloor(folder: string, backend: Server, size: number): Promise<Server> {
  const built = join(folder, "plain-relay");
  const { code, stderr } = runSync(["clang", "-O2", "-o", built, source]);
  if (code !== 0) throw new Error(`clang cannot compile ${source}: ${stderr}`);
  const port = freePort();
  const program = startPinned(SERVER_CORE, [built, String(port), String(backend.port), String(size)]);
  await untilOpen(port, program);
  return toServer({ name: `floor-${size}`, version: "", port, program });
}
