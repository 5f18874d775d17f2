import { existsSync, rmSync } from "node:fs";
import type { HostChange } from "../core/host-change.ts";
import { ok, type Problem, type Result, refuse } from "../core/problem.ts";
import { announce, stopAnnouncing } from "./announce.ts";
import { offloads, setOffload } from "./ethtool.ts";
import { hostProblem } from "./host-command.ts";
import { addresses, ip, links, neighbours, routeTexts } from "./ip.ts";
import { nftDeleteTable } from "./nft.ts";
import { readSysctl, sysctlSatisfied, writeSysctl } from "./sysctl.ts";

type Kind = HostChange["kind"];
type Of<K extends Kind> = Extract<HostChange, { kind: K }>;

/** How one kind of change is looked at, made and undone. Every step may be repeated. */
interface ChangeKind<C extends HostChange> {
  /** The thing that is changed: two changes of one thing are undone in order. */
  subject(change: C): string;
  /** `there`: the host already is as asked, so the change is not ours. `before`: what undoing puts back. */
  look(change: C): Promise<Result<{ there: boolean; before: unknown }>>;
  make(change: C, before: unknown): Promise<Result<unknown>>;
  undo(change: C, before: unknown): Promise<Result<unknown>>;
}

/** Undoing what is gone already is no failure: the device or the address may have left with its namespace. */
const gone = /Cannot (find device|assign)|No such (device|process|file)|does not exist|Not found/i;
const unlessGone = async (done: Promise<Result<unknown>>): Promise<Result<unknown>> => {
  const result = await done;
  return result.ok || !result.problems.every((p: Problem) => gone.test(p.message)) ? result : ok(null);
};

const family = (address: string): 4 | 6 => (address.includes(":") ? 6 : 4);

const address: ChangeKind<Of<"address">> = {
  subject: (c) => `address ${c.address} ${c.device}`,
  async look(c) {
    const all = await addresses();
    if (!all.ok) return all;
    return ok({ there: all.value.some((a) => a.address === c.address && a.device === c.device), before: null });
  },
  async make(c) {
    // Duplicate address detection would hold a v6 VIP back for a second, and its owner before us is known to be gone.
    const nodad = family(c.address) === 6 ? ["nodad"] : [];
    // A v6 VIP is deprecated, or the kernel would take it as the source of what the host itself begins (RFC 6724).
    if (family(c.address) === 6 && c.announce) nodad.push("preferred_lft", "0");
    const added = await ip("address", "add", `${c.address}/${c.prefix}`, "dev", c.device, ...nodad);
    const already = !added.ok && /File exists|already assigned/.test(added.problems[0]!.message);
    return added.ok || already ? ok(null) : added;
  },
  undo(c) {
    stopAnnouncing(c.device, c.address);
    return unlessGone(ip("address", "del", `${c.address}/${c.prefix}`, "dev", c.device));
  },
};

const sysctl: ChangeKind<Of<"sysctl">> = {
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
};

/** The engine that fills the table makes it; the journal only sees to it that it goes. */
const nftTable: ChangeKind<Of<"nft-table">> = {
  subject: (c) => `nft-table ${c.family} ${c.name}`,
  look: async () => ok({ there: false, before: null }),
  make: async () => ok(null),
  undo: (c) => nftDeleteTable(c.family, c.name),
};

const unpin = async (path: string): Promise<Result<null>> => {
  try {
    rmSync(path, { recursive: true, force: true });
    return ok(null);
  } catch (error) {
    return refuse(hostProblem("SLUICE_HOST_COMMAND", `cannot remove ${path}: ${(error as Error).message}`));
  }
};

const bpfPins: ChangeKind<Of<"bpf-pins">> = {
  subject: (c) => `bpf-pins ${c.path}`,
  look: async () => ok({ there: false, before: null }),
  make: async () => ok(null),
  undo: (c) => unpin(c.path),
};

const xdp: ChangeKind<Of<"xdp">> = {
  subject: (c) => `xdp ${c.device}`,
  look: async () => ok({ there: false, before: null }),
  make: async () => ok(null),
  // The last reference to a link is its pin: without it the kernel detaches the program.
  undo: (c) => (existsSync(c.pin) ? unpin(c.pin) : Promise.resolve(ok(null))),
};

const offload: ChangeKind<Of<"offload">> = {
  subject: (c) => `offload ${c.device} ${c.feature}`,
  async look(c) {
    const now = await offloads(c.device);
    if (!now.ok) return now;
    return ok({ there: now.value[c.feature] === c.on, before: now.value[c.feature] });
  },
  make: (c) => setOffload(c.device, c.feature, c.on),
  undo: (c, before) => unlessGone(setOffload(c.device, c.feature, Boolean(before))),
};

const veth: ChangeKind<Of<"veth">> = {
  subject: (c) => `veth ${c.name}`,
  async look(c) {
    const all = await links();
    if (!all.ok) return all;
    return ok({ there: all.value.some((link) => link.name === c.name), before: null });
  },
  make: (c) => ip("link", "add", "name", c.name, "type", "veth", "peer", "name", c.peer),
  undo: (c) => unlessGone(ip("link", "del", c.name)),
};

/** The words of `text` without `advmss N` and `mtu N`. */
const withoutMetrics = (text: string): string => text.replace(/ (advmss|mtu)( lock)? \d+/g, "");
const metrics = (c: Of<"route">): string => `${c.advmss ? ` advmss ${c.advmss}` : ""}${c.mtu ? ` mtu ${c.mtu}` : ""}`;

const route: ChangeKind<Of<"route">> = {
  subject: (c) => `route ${c.to} ${c.via ?? ""} ${c.device}`,
  async look(c) {
    const filter = ["exact", c.to, "dev", c.device, ...(c.via ? ["via", c.via] : [])];
    const found = await routeTexts(family(c.to), filter);
    if (!found.ok) return found;
    // A filter by device or gateway takes these words out of what ip prints; they are put back.
    const [first] = found.value;
    if (first === undefined) return ok({ there: false, before: null });
    const [to, ...rest] = first.split(" ");
    const before = [to, ...(c.via ? ["via", c.via] : []), "dev", c.device, ...rest].join(" ");
    const has = (name: string, value: number | undefined): boolean =>
      value === undefined || new RegExp(` ${name} (lock )?${value}\\b`).test(before);
    return ok({ there: has("advmss", c.advmss) && has("mtu", c.mtu), before });
  },
  make(c, before) {
    const base =
      typeof before === "string" ? withoutMetrics(before) : `${c.to}${c.via ? ` via ${c.via}` : ""} dev ${c.device}`;
    return ip(`-${family(c.to)}`, "route", "replace", ...`${base}${metrics(c)}`.split(" "));
  },
  undo(c, before) {
    if (typeof before === "string") return unlessGone(ip(`-${family(c.to)}`, "route", "replace", ...before.split(" ")));
    return unlessGone(ip(`-${family(c.to)}`, "route", "del", c.to, ...(c.via ? ["via", c.via] : []), "dev", c.device));
  },
};

const neighbour: ChangeKind<Of<"neighbour">> = {
  subject: (c) => `neighbour ${c.address} ${c.device}`,
  async look(c) {
    const known = await neighbours(c.device);
    if (!known.ok) return known;
    const entry = known.value.find((n) => n.address === c.address);
    return ok({ there: entry?.state.includes("PERMANENT") ?? false, before: null });
  },
  async make(c) {
    // `managed` (kernel 5.16, iproute2 5.15) makes the kernel itself keep the entry fresh.
    const managed = await ip("neigh", "replace", c.address, "dev", c.device, "managed");
    return managed.ok ? managed : ip("neigh", "replace", c.address, "dev", c.device, "use");
  },
  undo: (c) => unlessGone(ip("neigh", "del", c.address, "dev", c.device)),
};

const ipip: ChangeKind<Of<"ipip">> = {
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
  undo: (c) => unlessGone(ip("link", "del", c.name)),
};

const kinds: { [K in Kind]: ChangeKind<Of<K>> } = {
  address,
  sysctl,
  "nft-table": nftTable,
  "bpf-pins": bpfPins,
  xdp,
  offload,
  veth,
  route,
  neighbour,
  ipip,
};

/** The kind of a change, by its word. */
export const kindOf = <C extends HostChange>(change: C): ChangeKind<C> =>
  kinds[change.kind] as unknown as ChangeKind<C>;

/** Tells the link that an address lives here now; for every other change there is nothing to tell. */
export async function announceChange(change: HostChange): Promise<void> {
  if (change.kind === "address" && change.announce) await announce(change.device, change.address);
}
