import { join } from "node:path";
import { type Row, row } from "../lib.ts";
import { FILES, LOAD_CORE, startPinned } from "./pinned.ts";
import type { Server } from "./servers.ts";

/** Connections that every server here can hold: half of the open files that the host allows, and some room. */
export const IDLE = Math.min(10_000, Math.floor(FILES / 2) - 500);

/** Memory per idle connection of each; the first is Sluice. They must be fresh: load leaves memory behind. */
export async function idleRow(path: string, servers: readonly Server[], target: string): Promise<Row> {
  const bytes: Record<string, number> = {};
  for (const server of servers) bytes[server.name] = await idleMemory(server, IDLE, target);
  const { sluice, ...peers } = bytes;
  return row(`idle-${IDLE}/${path}/bytes`, "B", "lower", sluice!, peers);
}

/** Memory that a server holds for each of `count` idle connections after one request on each, kernel's apart; bytes. */
async function idleMemory(server: Server, count: number, path: string): Promise<number> {
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
