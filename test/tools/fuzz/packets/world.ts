/** The services that packets are fuzzed against, and what the director's network looks like. Plain data. */
import { toBytes16 } from "../../../../src/core/address.ts";

export type Method = "direct" | "tunnel" | "nat";

export interface World {
  name: string;
  method: Method;
  vip: string;
  ipv6: boolean;
  /** Where packets go: addresses, and for nat another port. */
  backends: string[];
  backendPort: number;
  gue: boolean;
  /** Nobody is eligible. */
  dark: boolean;
}

export const PORT = 80;
export const BACKEND_PORT = 8000;
export const MTU = 1500;
export const GUE_PORT = 6080;
export const director4 = "125.12.12.12";
export const director6 = "2001:db8:12::12";

const service = (name: string, method: Method, vip: string, backends: string[], more: Partial<World> = {}): World => ({
  name,
  method,
  vip,
  ipv6: vip.includes(":"),
  backends,
  backendPort: method === "nat" ? BACKEND_PORT : PORT,
  gue: false,
  dark: false,
  ...more,
});

const reals = (prefix: string): string[] => ["20", "21", "22"].map((last) => `${prefix}${last}`);

/** Every method in both families; tunnels in all four combinations, bare and in GUE. */
export const worlds: readonly World[] = [
  service("direct4", "direct", "125.12.12.71", reals("125.12.12.")),
  service("direct6", "direct", "2001:db8:12::71", reals("2001:db8:12::")),
  service("dark", "direct", "125.12.12.72", reals("125.12.12.1"), { dark: true }),
  service("4in4", "tunnel", "125.12.12.73", reals("10.0.2.")),
  service("6in6", "tunnel", "2001:db8:12::73", reals("2001:db8:2::")),
  service("6in4", "tunnel", "2001:db8:12::74", reals("10.0.3.")),
  service("4in6", "tunnel", "125.12.12.74", reals("2001:db8:3::")),
  service("4inGUE4", "tunnel", "125.12.12.75", reals("10.0.4."), { gue: true }),
  service("6inGUE6", "tunnel", "2001:db8:12::75", reals("2001:db8:4::"), { gue: true }),
  service("nat4", "nat", "125.12.12.76", reals("10.0.1.")),
  service("nat6", "nat", "2001:db8:12::76", reals("2001:db8:1::")),
];

/** An address as it stands in a packet: 4 or 16 bytes, as hex. */
export const addressKey = (text: string): string =>
  Buffer.from(toBytes16(text).subarray(text.includes(":") ? 0 : 12)).toString("hex");

export const byVip = new Map(worlds.map((world) => [addressKey(world.vip), world]));
/** Backends whose replies come back through the director. */
export const byBackend = new Map(
  worlds
    .filter(({ method }) => method === "nat")
    .flatMap((world) => world.backends.map((address) => [addressKey(address), { world, address }] as const)),
);

export const macOf = (address: string): string => {
  const last = toBytes16(address)[15]!.toString(16).padStart(2, "0");
  return `0200000000${last}`;
};
export const directorMac = "02000000000c";
export const gatewayMac = "020000000001";
