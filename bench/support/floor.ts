import { compiled } from "./compiled.ts";
import { freePort, SERVER_CORE, startPinned, untilOpen } from "./pinned.ts";
import { type Server, toServer } from "./servers.ts";

/**
 * What relays without doing anything else (`plain-relay.c`), over one connection and more to each of so many addresses,
 * in turn or at random.
 */
export async function startFloor(
  folder: string,
  backend: Server,
  size: number,
  order: "turn" | "random",
): Promise<Server> {
  const port = freePort();
  const program = startPinned(SERVER_CORE, [
    compiled(folder, "plain-relay.c"),
    String(port),
    String(backend.port),
    String(size),
    order,
  ]);
  await untilOpen(port, program);
  return toServer({ name: `floor-${size}`, version: "", port, program });
}
