import { ok, type Problem, type Result, refuse } from "../core/problem.ts";
import { run } from "../runtime/child.ts";
import { hostProblem, oneLine } from "./host-command.ts";

const nftProblem = (said: string, what: string): Problem =>
  hostProblem("SLUICE_NFT", `nft ${what}: ${oneLine(said) || "no word why"}`);

async function nft(args: readonly string[], input?: string): Promise<Result<string>> {
  const done = await run(["nft", ...args], input === undefined ? {} : { input });
  if (done.code === 0) return ok(done.stdout);
  if (done.code === 127) return refuse(nftProblem("the program nft is not there", args.join(" ")));
  return refuse(nftProblem(done.stderr, args.join(" ")));
}

/**
 * One transaction: all of `rules` (nft's own language) or nothing. `check` only asks the kernel whether it would take
 * it. Errors: SLUICE_NFT with nft's own words.
 */
export const nftTransaction = async (rules: string, check = false): Promise<Result<null>> => {
  const done = await nft([...(check ? ["-c"] : []), "-f", "-"], rules);
  return done.ok ? ok(null) : done;
};

/** A named counter of a table. */
export interface NftCounter {
  name: string;
  packets: number;
  bytes: number;
}

/** What a table holds, by name. */
export interface NftTable {
  chains: string[];
  maps: string[];
  sets: string[];
  helpers: string[];
  counters: NftCounter[];
}

type Listed = { nftables: Record<string, { name: string; packets?: number; bytes?: number }>[] };

/** Names of a family's tables. */
export async function nftTables(family: string): Promise<Result<string[]>> {
  const told = await nft(["-j", "list", "tables", family]);
  if (!told.ok) return told;
  return ok((JSON.parse(told.value) as Listed).nftables.flatMap(({ table }) => (table ? [table.name] : [])));
}

/** Names in a table, its counters with their values; null when there is no such table. */
export async function nftTable(family: string, table: string): Promise<Result<NftTable | null>> {
  const told = await nft(["-j", "list", "table", family, table]);
  if (!told.ok) return told.problems[0]!.message.includes("No such file") ? ok(null) : told;
  const rows = (JSON.parse(told.value) as Listed).nftables;
  const names = (kind: string): string[] => rows.flatMap((row) => (row[kind] ? [row[kind].name] : []));
  const counters = rows.flatMap(({ counter: c }) =>
    c ? [{ name: c.name, packets: c.packets ?? 0, bytes: c.bytes ?? 0 }] : [],
  );
  return ok({
    chains: names("chain"),
    maps: names("map"),
    sets: names("set"),
    helpers: names("ct helper"),
    counters,
  });
}

/** The named counters of a table; empty when there is no such table. */
export async function nftCounters(family: string, table: string): Promise<Result<NftCounter[]>> {
  const told = await nft(["-j", "list", "counters", "table", family, table]);
  if (!told.ok) return told.problems[0]!.message.includes("No such file") ? ok([]) : told;
  return ok(
    (JSON.parse(told.value) as Listed).nftables.flatMap(({ counter: c }) =>
      c ? [{ name: c.name, packets: c.packets ?? 0, bytes: c.bytes ?? 0 }] : [],
    ),
  );
}

/** Removes a table; no error when it is not there. */
export const nftDeleteTable = (family: string, table: string): Promise<Result<null>> =>
  // `add` first, so that `delete` always finds one: nft 1.0 has no `destroy`.
  nftTransaction(`add table ${family} ${table}\ndelete table ${family} ${table}\n`);
