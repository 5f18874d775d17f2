import { join } from "node:path";
import { LOAD_CORE, startPinned } from "./pinned.ts";
import type { Server } from "./servers.ts";

/** Memory that a server holds for each of `count` idle connections after one request on each, kernel's apart; bytes. */
export async function idleMemory(server: Server, count: number, path: string): Promise<number> {
  const before = server.memory();
  const program = join(import.meta.dirname, "hold.ts");
  const holder = startPinned(LOAD_CORE, [process.execPath, program, String(server.port), String(count), path]);
  try {
    for (let i = 0; i < 600 && !holder.said().includes("held"); i++) {
      if ((await Promise.race([holder.exited, Bun.sleep(100).then(() => null)])) !== null) break;
    }
    if (!holder.said().includes("held")) throw new Error(`${server.name}: not all held: ${holder.said().slice(-500)}`);
    await Bun.sleep(1500); // what was needed only to open them is let go
    return (server.memory() - before) / count;
  } finally {
    await holder.stop();
  }
}
