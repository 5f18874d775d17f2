import { z } from "zod";
import { parseAddress, parseEndpoint } from "../../core/address.ts";
import { parseDuration } from "../../core/words.ts";
import { mailboxToWire, nameToWire } from "../../protocols/dns/name.ts";
import { MAX_TTL, SAFE_SIZE } from "../../protocols/dns/numbers.ts";

const duration = (fallback: string, least: number) =>
  z
    .string()
    .refine((text) => (parseDuration(text) ?? -1) >= least, `must be a duration such as 30s, at least ${least} ms`)
    .default(fallback)
    .transform((text) => parseDuration(text)!);

/** A duration word, in whole seconds once parsed: TTLs and the times of SOA. */
const seconds = (fallback: string) =>
  z
    .string()
    .refine((text) => {
      const ms = parseDuration(text);
      return ms !== null && ms % 1000 === 0 && ms / 1000 <= MAX_TTL;
    }, "must be a duration in whole seconds, such as 30s")
    .default(fallback)
    .transform((text) => parseDuration(text)! / 1000);

const lower = (text: string): string => text.toLowerCase().replace(/\.$/, "");

const domain = z
  .string()
  .refine((text) => text !== "." && nameToWire(text) !== null, "must be a domain name")
  .transform(lower);

const listen = z
  .string()
  .refine((text) => parseEndpoint(text, true) !== null, "must be ADDRESS or ADDRESS:PORT")
  // A wildcard socket answers from whatever source the kernel likes; resolvers drop such answers (RFC 2181 4).
  .refine(
    (text) => !["0.0.0.0", "::"].includes(parseEndpoint(text, true)?.address ?? ""),
    "must name each address: an answer has to come from the address that was asked (RFC 2181 section 4)",
  )
  .transform((text) => {
    const { address, port } = parseEndpoint(text, true)!;
    return { address, port: port ?? 53 };
  });

const address = z
  .string()
  .refine((text) => parseAddress(text) !== null, "must be an IPv4 or IPv6 address")
  .transform((text) => parseAddress(text)!);

const nameServer = z.union([
  domain.transform((name) => ({ name, addresses: null as string[] | null })),
  z.strictObject({ name: domain, addresses: z.array(address).min(1).nullable().default(null) }),
]);

/** The top-level key `dns:`: the name server itself, shared by all dns services. */
export const settings = z.strictObject({
  /** Where queries arrive, UDP and TCP; port 53 unless said otherwise. */
  listen: z.array(listen).min(1),
  /** Zones this server is the authority for. Names outside them make a zone of their parent. */
  zones: z.array(domain).default([]),
  /** Name servers of every zone; without any, `ns.ZONE` with the listening addresses. */
  ns: z.array(nameServer).default([]),
  soa: z
    .strictObject({
      /** Default: the first name server. */
      primary: domain.nullable().default(null),
      /** Default: `hostmaster.ZONE`. */
      admin: z
        .string()
        .refine((text) => mailboxToWire(text) !== null, "must be a mailbox: hostmaster@example.com")
        .nullable()
        .default(null),
      ttl: seconds("1h"),
      refresh: seconds("1h"),
      retry: seconds("10m"),
      expire: seconds("14d"),
      /** How long resolvers may remember that something is not there. */
      negative: seconds("30s"),
    })
    .prefault({}),
  /** Most octets of an answer over UDP. */
  udpSize: z.int().min(512).max(4096).default(SAFE_SIZE),
  /** Given to clients that ask for it (RFC 5001). */
  nsid: z.string().max(64).nullable().default(null),
  tcp: z
    .strictObject({
      idle: duration("10s", 1000),
      /** Connections per worker, and of those per client address. */
      connections: z.int().min(1).default(1000),
      perClient: z.int().min(1).default(100),
    })
    .prefault({}),
});
export type DnsSettings = z.output<typeof settings>;

/** A service's own key `dns:`. */
export const options = z.strictObject({
  /** How long resolvers may keep an answer: also the longest a dead backend is still sent clients. */
  ttl: seconds("30s"),
  /** Most addresses in one answer; null: all. */
  answers: z.int().min(1).nullable().default(null),
  /** What to answer when no backend is eligible. */
  empty: z.enum(["all", "nodata", "servfail"]).default("all"),
});
export type DnsOptions = z.output<typeof options>;
