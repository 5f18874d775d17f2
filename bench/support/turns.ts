import { join } from "node:path";
import { type Row, row } from "../lib.ts";
import { compiled } from "./compiled.ts";
import { LOAD_CORE, runPinned } from "./pinned.ts";
import type { Server } from "./servers.ts";
import { median, WARM_UP } from "./wrk.ts";

/** ms of a turn: what else the machine does changes more slowly. */
const TURN = 80;

export interface Turns {
  /** The request's head, without the empty line, and its body. */
  head: string;
  body?: Buffer;
  connections: number;
  /** How long one server is loaded in all, s. */
  seconds: number;
}

/**
 * CPU of a request by many short turns (`turns.c`), A B C C B A, the connections kept: the first server is Sluice. Each
 * value is the median of a server's turns.
 * @returns the row `<name>/turns-cpu-us`.
 */
export async function turnsRow(name: string, folder: string, servers: readonly Server[], load: Turns): Promise<Row> {
  const request = join(folder, "request");
  await Bun.write(request, Buffer.concat([Buffer.from(`${load.head}\r\n\r\n`), load.body ?? Buffer.alloc(0)]));
  const rounds = Math.ceil((load.seconds * 1000) / TURN);
  const numbers = [TURN, rounds, WARM_UP * 1000, load.connections].map(String);
  const targets = servers.map(({ port, serving }) => `${port}:${serving().join(",")}`);
  const said = await runPinned(LOAD_CORE, [compiled(folder, "turns.c"), ...numbers, request, ...targets]);
  const costs = servers.map((): number[] => []);
  for (const line of said.trim().split("\n")) {
    const [target, requests, ns] = line.split(" ").map(Number);
    costs[target!]!.push(ns! / requests! / 1000);
  }
  const [own, ...others] = costs.map(median);
  const peers = Object.fromEntries(servers.slice(1).map((server, i) => [server.name, others[i]!]));
  return row(`${name}/turns-cpu-us`, "us", "lower", own!, peers);
}
