import type { AdminState } from "./backend.ts";
import type { AgentConfig, CheckConfig } from "./check.ts";

export const methodNames = ["redirect", "dns", "proxy", "nat", "direct", "tunnel"] as const;
export type MethodName = (typeof methodNames)[number];
export type Protocol = "tcp" | "udp";

/** An address where clients arrive; for the kernel methods a VIP. */
export interface Listener {
  /** IPv4 or IPv6 literal, canonical text; `0.0.0.0` and `::` only where the method says so. */
  address: string;
  port: number;
  /** Last port of a range that begins with `port`, inclusive; absent: one port. Kernel methods only. */
  last?: number;
  protocol: Protocol;
}

/** A backend as written, defaults filled in. */
export interface BackendConfig {
  address: string;
  /** Null: the listener's port. */
  port: number | null;
  url?: string;
  weight: number;
  tier: number;
  tags: string[];
  admin: AdminState;
  /** The service of this configuration whose listener this is: it serves while that one has an eligible backend. */
  follows?: string;
}

/** A service as written, defaults filled in. Plain JSON. */
export interface Service<O = unknown> {
  name: string;
  method: MethodName;
  listen: Listener[];
  /** Lower case, no trailing dot. */
  names: string[];
  scheduler: { name: string; options: unknown };
  backends: BackendConfig[];
  /** Null: backends are `unchecked`. */
  check: CheckConfig | null;
  /** Do clients of a place get the backends that have its name as a tag? */
  nearest: boolean;
  /** Absent: backends are not asked how they are. */
  agent?: AgentConfig;
  /** What the method's own key holds, parsed by the method's schema. */
  options: O;
}

/** Clients of a place. A backend belongs to it by a tag of its name. Plain JSON. */
export interface PlaceConfig {
  /** ISO 3166-1, two letters, upper case. */
  countries: string[];
  continents: string[];
  /** `10.0.0.0/8`, without host bits. */
  networks: string[];
  /** Places to turn to, in order, while this one has nobody eligible. */
  next: string[];
}

/** Where clients are: the one place for it, for all methods. Plain JSON. */
export interface Geography {
  places: Record<string, PlaceConfig>;
  /** A database of countries; `state` changes with the file, so that a reload reads it anew. */
  geo?: { file: string; state: string };
}

/** A file of networks; `state` changes with it, so that a reload reads it anew. */
export interface ListFile {
  file: string;
  state: string;
}

/** So many a second; `burst` at once after a pause, a second's worth unless it is given. */
export type Rate = number | { rate: number; burst?: number | undefined };

/** Networks whose packets to VIPs are dropped, and those that no list and no limit touches. Plain JSON. */
export interface GuardLists {
  block: string[];
  blockFiles: ListFile[];
  allow: string[];
  allowFiles: ListFile[];
  /** ICMP errors that each CPU may send; absent: as the program has it. */
  errors?: { tooBig?: Rate | undefined; expired?: Rate | undefined } | undefined;
}

/** A whole configuration, defaults filled in. Plain JSON. */
export interface Config {
  version: 1;
  services: Service[];
  /** Top-level keys that methods declare for themselves (`dns:`), parsed, by method name. */
  settings: Partial<Record<MethodName, unknown>>;
  geography: Geography;
  /** Of the xdp data plane. */
  guard?: GuardLists;
  /** Worker processes; null: one per core. */
  workers: number | null;
  log: { level: "debug" | "info" | "warn" | "error"; format: "text" | "json" };
  /** How long draining workers may live on, ms. */
  drain: number;
  /** Absent: first checks are waited for. Read when a daemon starts. */
  start?: StartConfig;
  /** Directors that share it choose alike; absent: each has one of its own. Read when a daemon starts. */
  secret?: string;
}

/** What is served at a start before checks have spoken: what an earlier daemon wrote down, no longer ago than this, ms. */
export interface StartConfig {
  remembered: number;
}

/** A configuration with its number. The seed is secret and stays over revisions. */
export interface Revision {
  number: number;
  seed: number;
  /** When revisions began to be counted, s since 1970: with the number it grows though a count is lost with its file. */
  epoch: number;
  config: Config;
  /** Path of the bundled TypeScript configuration, when there is one. */
  bundle: string | null;
}

/** Ranges of ports on one address and protocol, `*` among them; `RANGES` of the data plane is the same. */
export const MOST_RANGES = 16;

/** Every port of an address. */
export const isEveryPort = ({ port, last }: Pick<Listener, "port" | "last">): boolean => port === 1 && last === 65_535;

/** The listener whose port checks ask: one port before a range; undefined where there is only "every port". */
export const checkedListener = <L extends Listener>(listen: readonly L[]): L | undefined =>
  listen.find(({ last }) => last === undefined) ?? listen.find((l) => !isEveryPort(l));

const portsText = (l: Listener): string =>
  isEveryPort(l) ? "*" : l.last === undefined ? `${l.port}` : `${l.port}-${l.last}`;

export const listenerName = (l: Listener): string =>
  `${l.address.includes(":") ? `[${l.address}]` : l.address}:${portsText(l)}${l.protocol === "udp" ? "/udp" : ""}`;
