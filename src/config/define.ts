/** So many in a second; `burst` at once. */
type Rate = number | { rate: number; burst?: number };

/**
 * The form of a configuration as it is written: the same keys as in YAML. Durations are text (`2s`), listeners
 * `ADDRESS:PORT[/udp]`. What the product's methods, schedulers and checks take is judged when the file is loaded.
 */
export interface WrittenConfig {
  version: 1;
  services: Record<string, WrittenService>;
  workers?: number;
  log?: { level?: "debug" | "info" | "warn" | "error"; format?: "text" | "json" };
  drain?: string;
  /** Serve at once by what the last daemon had found, where that is no older. */
  start?: { remembered: string };
  /** Networks that may send to VIPs of the xdp data plane, and those that may not. */
  guard?: {
    block?: string[];
    blockFiles?: string[];
    allow?: string[];
    allowFiles?: string[];
    /** ICMP errors that each CPU may send in a second. */
    errors?: { tooBig?: Rate; expired?: Rate };
  };
  /** Directors that share it choose alike. */
  secret?: string;
  /** Groups of clients by network or country, for `nearest` and routes. */
  places?: Record<string, WrittenPlace>;
  /** A MaxMind database that says where countries are. */
  geo?: string;
  /** The name server's own settings. */
  dns?: { listen: string[]; [key: string]: unknown };
}

/** A group of clients, and where to turn to while it has nobody eligible. */
export interface WrittenPlace {
  countries?: string[];
  continents?: ("AF" | "AN" | "AS" | "EU" | "NA" | "OC" | "SA")[];
  networks?: string[];
  next?: string[];
}

/** One service as written. A key that names a method holds that method's own options. */
export interface WrittenService {
  method: WrittenMethod;
  listen?: string[];
  names?: string[];
  /** A scheduler's name, or the name with its options. */
  scheduler?: string | Record<string, unknown>;
  /** Clients of a place get the backends that have its name as a tag. */
  nearest?: boolean;
  backends: (string | WrittenBackend)[];
  check?: WrittenCheck;
  /** Where backends say how they are (`agent-check` of HAProxy): a port, or more. */
  agent?: number | { port: number; interval?: string; timeout?: string; send?: string };
  redirect?: Record<string, unknown>;
  dns?: Record<string, unknown>;
  proxy?: Record<string, unknown>;
  nat?: Record<string, unknown>;
  direct?: Record<string, unknown>;
  tunnel?: Record<string, unknown>;
}

export type WrittenMethod = "redirect" | "dns" | "proxy" | "nat" | "direct" | "tunnel";

/** A backend with more than its address. */
export interface WrittenBackend {
  /** `ADDRESS` or `ADDRESS:PORT`. */
  address: string;
  weight?: number;
  url?: string;
  tier?: number;
  tags?: string[];
  state?: "ready" | "drain" | "maintenance";
}

export type WrittenCheck =
  | "none"
  | {
      tcp?: true | Record<string, unknown>;
      http?: string | Record<string, unknown>;
      interval?: string;
      timeout?: string;
      rise?: number;
      fall?: number;
      damp?: string;
    };

/** Gives a configuration in TypeScript its type: `export default defineConfig({ … })`. */
export const defineConfig = (config: WrittenConfig): WrittenConfig => config;
