import { existsSync, rmSync } from "node:fs";
import type { HostChange } from "../core/host-change.ts";
import { ok, type Problem, type Result, refuse } from "../core/problem.ts";
import { announce, stopAnnouncing } from "./announce.ts";
import { hostProblem } from "./host-command.ts";
import { addresses, forgetNeighbours, ip, ipBatch, links, neighbours, routeTexts } from "./ip.ts";
import { nftDeleteTable } from "./nft.ts";
import { readSysctl, sysctlSatisfied, writeSysctl } from "./sysctl.ts";

type Kind = HostChange["kind"];
type Of<K extends Kind> = Extract<HostChange, { kind: K }>;

/** `there`: the host already is as asked, so the change is not ours. `before`: what undoing puts back. */
interface Look {
  there: boolean;
  before: unknown;
}

/** A change to be made or undone, with what was there before it. */
export interface Step<C extends HostChange> {
  change: C;
  before: unknown;
}

/** How changes of one kind are looked at, made and undone. Every step may be repeated. */
interface ChangeKind<C extends HostChange> {
  /** The thing that is changed: two changes of one thing are undone in order. */
  subject(change: C): string;
  /** Many are taken at once, by one process for all: none of them hangs on another. Else lists are of one. */
  together: boolean;
  /** In the order of `changes`. */
  look(changes: readonly C[]): Promise<Result<Look[]>>;
  /** The first problem, when some of them cannot be made. */
  make(steps: readonly Step<C>[]): Promise<Result<unknown>>;
  /** In the order of `steps`, what came of each. */
  undo(steps: readonly Step<C>[]): Promise<Result<unknown>[]>;
}

/** A kind whose changes are taken one by one. */
const oneByOne = <C extends HostChange>(one: {
  subject(change: C): string;
  look(change: C): Promise<Result<Look>>;
  make(change: C, before: unknown): Promise<Result<unknown>>;
  undo(change: C, before: unknown): Promise<Result<unknown>>;
}): ChangeKind<C> => ({
  subject: one.subject,
  together: false,
  async look([change]) {
    const look = await one.look(change!);
    return look.ok ? ok([look.value]) : look;
  },
  make: ([step]) => one.make(step!.change, step!.before),
  undo: async ([step]) => [await one.undo(step!.change, step!.before)],
});

/** Undoing what is gone already is no failure: the device or the address may have left with its namespace. */
const gone = /Cannot (find device|assign)|No such (device|process|file)|does not exist|Not found/i;
const unlessGone = (result: Result<unknown>): Result<unknown> =>
  result.ok || !result.problems.every((p: Problem) => gone.test(p.message)) ? result : ok(null);

const family = (address: string): 4 | 6 => (address.includes(":") ? 6 : 4);

const address: ChangeKind<Of<"address">> = {
  subject: (c) => `address ${c.address} ${c.device}`,
  together: true,
  async look(changes) {
    const all = await addresses();
    if (!all.ok) return all;
    const held = new Set(all.value.map((a) => `${a.address} ${a.device}`));
    return ok(changes.map((c) => ({ there: held.has(`${c.address} ${c.device}`), before: null })));
  },
  async make(steps) {
    const done = await ipBatch(
      steps.map(({ change: c }) => `address add ${c.address}/${c.prefix} dev ${c.device}${marks(c)}`),
    );
    return done.find((one) => !one.ok && !/File exists|already assigned/.test(one.problems[0]!.message)) ?? ok(null);
  },
  async undo(steps) {
    for (const { change: c } of steps) stopAnnouncing(c.device, c.address);
    const lines = steps.map(({ change: c }) => `address del ${c.address}/${c.prefix} dev ${c.device}`);
    return (await ipBatch(lines)).map(unlessGone);
  },
};

/** How a v6 address is to stand; v4 has no such words. */
function marks(c: Of<"address">): string {
  // Duplicate address detection would hold a v6 VIP back for a second, and its owner before us is known to be gone. A v6
  // VIP is deprecated, or the kernel would take it as the source of what the host itself begins (RFC 6724).
  return family(c.address) === 4 ? "" : " nodad preferred_lft 0";
}

const sysctl = oneByOne<Of<"sysctl">>({
  subject: (c) => `sysctl ${c.key}`,
  async look(c) {
    const current = readSysctl(c.key);
    if (current === null) return refuse(hostProblem("SLUICE_HOST_COMMAND", `this kernel has no sysctl ${c.key}`));
    return ok({ there: sysctlSatisfied(current, c.value, c.rule), before: current });
  },
  make: async (c) => writeSysctl(c.key, c.value),
  async undo(c, before) {
    // A value that somebody else has set since is his: leave it.
    if (readSysctl(c.key) !== c.value) return ok(null);
    return writeSysctl(c.key, String(before));
  },
});

/** The engine that fills the table makes it; the journal only sees to it that it goes. */
const nftTable = oneByOne<Of<"nft-table">>({
  subject: (c) => `nft-table ${c.family} ${c.name}`,
  look: async () => ok({ there: false, before: null }),
  make: async () => ok(null),
  undo: (c) => nftDeleteTable(c.family, c.name),
});

const unpin = async (path: string): Promise<Result<null>> => {
  try {
    rmSync(path, { recursive: true, force: true });
    return ok(null);
  } catch (error) {
    return refuse(hostProblem("SLUICE_HOST_COMMAND", `cannot remove ${path}: ${(error as Error).message}`));
  }
};

const bpfPins = oneByOne<Of<"bpf-pins">>({
  subject: (c) => `bpf-pins ${c.path}`,
  look: async () => ok({ there: false, before: null }),
  make: async () => ok(null),
  undo: (c) => unpin(c.path),
});

const xdp = oneByOne<Of<"xdp">>({
  subject: (c) => `xdp ${c.device}`,
  look: async () => ok({ there: false, before: null }),
  make: async () => ok(null),
  // The last reference to a link is its pin: without it the kernel detaches the program.
  undo: (c) => (existsSync(c.pin) ? unpin(c.pin) : Promise.resolve(ok(null))),
});

const veth = oneByOne<Of<"veth">>({
  subject: (c) => `veth ${c.name}`,
  async look(c) {
    const all = await links();
    if (!all.ok) return all;
    return ok({ there: all.value.some((link) => link.name === c.name), before: null });
  },
  make: (c) => ip("link", "add", "name", c.name, "type", "veth", "peer", "name", c.peer),
  undo: async (c) => unlessGone(await ip("link", "del", c.name)),
});

/** The words of `text` without `advmss N` and `mtu N`. */
const withoutMetrics = (text: string): string => text.replace(/ (advmss|mtu)( lock)? \d+/g, "");
const metrics = (c: Of<"route">): string => `${c.advmss ? ` advmss ${c.advmss}` : ""}${c.mtu ? ` mtu ${c.mtu}` : ""}`;

/** Where it leads, as ip(8) takes it. */
const wayWords = (c: Of<"route">): string[] => [...(c.via ? ["via", ...c.via.split(" ")] : []), "dev", c.device];

/** What ip(8) takes to have the route as asked, in the place of `before`. */
export function routeWords(verb: "replace" | "change", c: Of<"route">, before: unknown): string[] {
  const base = typeof before === "string" ? withoutMetrics(before) : [c.to, ...wayWords(c)].join(" ");
  return [`-${family(c.to)}`, "route", verb, ...`${base}${metrics(c)}`.split(" ")];
}

async function lookAtRoute(c: Of<"route">): Promise<Result<Look>> {
  const found = await routeTexts(family(c.to), ["exact", c.to, "dev", c.device]);
  if (!found.ok) return found;
  const via = (text: string): string | undefined => / via ((?:inet6 )?\S+)/.exec(text)?.[1];
  const first = found.value.find((text) => via(text) === c.via);
  if (first === undefined) return ok({ there: false, before: null });
  // A filter by device takes these words out of what ip prints; they are put back.
  const [to, ...rest] = first.split(" ");
  const before = [to, "dev", c.device, ...rest].join(" ");
  const has = (name: string, value: number | undefined): boolean =>
    value === undefined || new RegExp(` ${name} (lock )?${value}\\b`).test(before);
  return ok({ there: has("advmss", c.advmss) && has("mtu", c.mtu), before });
}

const route = oneByOne<Of<"route">>({
  subject: (c) => `route ${c.to} ${c.via ?? ""} ${c.device}`,
  look: lookAtRoute,
  make: (c, before) => ip(...routeWords("replace", c, before)),
  async undo(c, before) {
    const now = await lookAtRoute(c);
    if (!now.ok) return unlessGone(now);
    // It has gone, or somebody has made it anew since: what he made is his, and the old one may lead nowhere by now.
    if (!now.value.there) return ok(null);
    const words = typeof before === "string" ? ["replace", ...before.split(" ")] : ["del", c.to, ...wayWords(c)];
    return unlessGone(await ip(`-${family(c.to)}`, "route", ...words));
  },
});

const neighbour: ChangeKind<Of<"neighbour">> = {
  subject: (c) => `neighbour ${c.address} ${c.device}`,
  together: true,
  async look(changes) {
    const fixed = new Set<string>();
    for (const device of new Set(changes.map((c) => c.device))) {
      const known = await neighbours(device);
      if (!known.ok) return known;
      for (const n of known.value) if (n.state.includes("PERMANENT")) fixed.add(`${n.address} ${device}`);
    }
    return ok(changes.map((c) => ({ there: fixed.has(`${c.address} ${c.device}`), before: null })));
  },
  async make(steps) {
    const replace = (some: typeof steps, how: string) =>
      ipBatch(some.map(({ change: c }) => `neigh replace ${c.address} dev ${c.device} ${how}`));
    // `managed` (kernel 5.16, iproute2 5.15) makes the kernel itself keep the entry fresh.
    const managed = await replace(steps, "managed");
    const used = await replace(
      steps.filter((_, i) => !managed[i]!.ok),
      "use",
    );
    return used.find(({ ok: good }) => !good) ?? ok(null);
  },
  undo: async (steps) => (await forgetNeighbours(steps.map(({ change }) => change))).map(unlessGone),
};

const ipip = oneByOne<Of<"ipip">>({
  subject: (c) => `ipip ${c.name}`,
  async look(c) {
    const all = await links();
    return all.ok ? ok({ there: all.value.some((link) => link.name === c.name && link.up), before: null }) : all;
  },
  async make(c) {
    // `external`: no peer is named, so it unwraps what any director sends.
    const added = await ip("link", "add", "name", c.name, "type", "ipip", "external");
    const already = !added.ok && added.problems[0]!.message.includes("File exists");
    return added.ok || already ? ip("link", "set", c.name, "up") : added;
  },
  undo: async (c) => unlessGone(await ip("link", "del", c.name)),
});

const kinds: { [K in Kind]: ChangeKind<Of<K>> } = {
  address,
  sysctl,
  "nft-table": nftTable,
  "bpf-pins": bpfPins,
  xdp,
  veth,
  route,
  neighbour,
  ipip,
};

/** The kind of a change, by its word. */
export const kindOf = <C extends HostChange>(change: C): ChangeKind<C> =>
  kinds[change.kind] as unknown as ChangeKind<C>;

/** Tells the links that these addresses live there now; of every other change there is nothing to tell. */
export async function announceChanges(changes: readonly HostChange[]): Promise<void> {
  const told = changes.filter((change) => change.kind === "address" && change.announce === true) as Of<"address">[];
  for (const [device, here] of Map.groupBy(told, (change) => change.device))
    await announce(
      device,
      here.map((change) => change.address),
    );
}
