import { z } from "zod";
import { parseAddress, parseEndpoint } from "../../core/address.ts";
import { duration, ipv6Prefix } from "../../core/schema-words.ts";
import { formatDuration, parseDuration } from "../../core/words.ts";
import { parsePrefix } from "../../geo/prefix.ts";
import { recordOf } from "../../protocols/dns/master-file.ts";
import { mailboxToWire, nameToWire } from "../../protocols/dns/name.ts";
import { MAX_TTL, SAFE_SIZE, Type } from "../../protocols/dns/numbers.ts";
import { typeName } from "../../protocols/dns/record-types.ts";
import { type TsigAlgorithm, tsigAlgorithms } from "../../protocols/dns/tsig.ts";
import { nest, upThreshold } from "./steering/schema.ts";
import { twice, type ZoneSettings, zones } from "./zone-settings.ts";

/**
 * Most addresses of one kind in an answer: as many AAAA records as a TCP message of 65,535 octets holds beside the
 * longest question. An RRset is sent whole (RFC 2181 9), so the set itself is what is limited.
 */
export const MOST_ADDRESSES = 2300;

const quote = (text: string): string => JSON.stringify(text);

/** Text to a value and back; `decode` gives null for what it does not accept, `refusal` the sentence. */
const word = <T>(
  decode: (text: string) => T | null,
  encode: (value: T) => string,
  refusal: (text: string) => string,
  kind?: "number",
) =>
  z.codec(z.string(), z.custom<T>(kind && ((value) => typeof value === kind)), {
    decode: (text, context): T => {
      const value = decode(text);
      if (value !== null) return value;
      context.issues.push({ code: "custom", message: refusal(text), input: text });
      return z.NEVER;
    },
    encode,
  });

/** A duration word, whole seconds once parsed: TTLs and the times of SOA. */
const seconds = word<number>(
  (text) => {
    const ms = parseDuration(text);
    return ms !== null && ms % 1000 === 0 && ms / 1000 <= MAX_TTL ? ms / 1000 : null;
  },
  (value) => formatDuration(value * 1000).replace(/^0ms$/, "0s"),
  (text) => `${quote(text)} is not a duration in whole seconds, such as 30s or 1h.`,
  // In a union with a mapping it must be told apart when it is written again.
  "number",
);

const toDomain = (text: string): string | null =>
  text !== "." && nameToWire(text) !== null ? text.toLowerCase().replace(/\.$/, "") : null;
const noDomain = (text: string): string => `${quote(text)} is not a domain name.`;
const domain = word<string>(toDomain, (name) => name, noDomain);

const address = word<string>(
  parseAddress,
  (text) => text,
  (text) => `${quote(text)} is not an IPv4 or IPv6 address.`,
);

interface Endpoint {
  address: string;
  port: number;
}

const isWildcard = (ip: string | undefined): boolean => ip === "0.0.0.0" || ip === "::";

const listen = word<Endpoint>(
  (text) => {
    const endpoint =
      parseEndpoint(text, true) ?? (parseAddress(text) ? { address: parseAddress(text)!, port: null } : null);
    return endpoint === null || isWildcard(endpoint.address)
      ? null
      : { address: endpoint.address, port: endpoint.port ?? 53 };
  },
  ({ address: ip, port }) => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`),
  // A wildcard socket answers from whatever source the kernel likes; resolvers drop such answers.
  (text) =>
    isWildcard(parseEndpoint(text, true)?.address)
      ? `${quote(text)} is every address: name each one, because an answer has to come from the address that was asked (RFC 2181 section 4).`
      : `${quote(text)} is not ADDRESS or ADDRESS:PORT (an IP address, and a port from 1 to 65535).`,
).describe("ADDRESS:PORT, UDP and TCP; port 53 when it is left out.");

const nameServer = z.union([domain, z.strictObject({ name: domain, addresses: z.array(address).min(1).max(16) })]);

/** Times of the zones' SOA record, and who it names. */
const soa = z.strictObject({
  primary: domain.optional().describe("Default: the first name server."),
  admin: z
    .string()
    .refine((text) => mailboxToWire(text) !== null, "must be a mailbox, such as hostmaster@example.com")
    .optional()
    .describe("Mailbox of who is responsible. Default: hostmaster@ZONE."),
  ttl: seconds.prefault("1h"),
  refresh: seconds.prefault("1h"),
  retry: seconds.prefault("10m"),
  expire: seconds.prefault("14d"),
  negative: seconds.prefault("30s").describe("How long resolvers may remember that something is not there."),
});

const tcp = z.strictObject({
  idle: duration({ min: 1000, max: 3_600_000 }).prefault("10s").describe("A silent connection is closed after it."),
  connections: z.int().min(1).max(1_000_000).default(1000).describe("Most connections, over all workers."),
  perClient: z.int().min(1).max(1_000_000).default(100).describe("Most of them from one address (of IPv6: network)."),
  ipv6Prefix,
});

const secret = z.string().regex(/^[0-9a-fA-F]{32}$/, "must be 32 hexadecimal digits");

const cookies = z.strictObject({
  secret: secret
    .optional()
    .describe(
      "What server cookies are made with (RFC 9018): the same on all servers of one address. Default: this machine's own.",
    ),
  accept: z
    .array(secret)
    .max(4)
    .default([])
    .describe("Other secrets whose cookies are taken: the last one, or the next."),
  require: z.boolean().default(false).describe("Answer over UDP only with a valid cookie; the others are sent to TCP."),
});

const prefix = word<string>(
  (text) => (parsePrefix(text) === null ? null : text),
  (text) => text,
  (text) => `${quote(text)} is not a network such as 10.0.0.0/8 (without host bits) or an address.`,
);

const rateLimit = z.strictObject({
  perSecond: z
    .int()
    .min(1)
    .max(1_000_000)
    .describe("Answers a second to one client address; its networks may take more."),
  burst: z.int().min(1).max(1_000_000).optional().describe("Answers to it at once. Default: those of a second."),
  slip: z
    .int()
    .min(0)
    .max(100)
    .default(2)
    .describe("Every how manieth limited answer is a truncated one, for clients who are no forgery; 0: none."),
  except: z.array(prefix).max(10_000).default([]).describe("Networks that are not limited."),
});

const tsigKey = z.strictObject({
  algorithm: z.enum(Object.keys(tsigAlgorithms) as [TsigAlgorithm]).default("hmac-sha256"),
  secret: z
    .string()
    .regex(/^[0-9A-Za-z+/]+={0,2}$/, "must be base64")
    .refine((text) => Buffer.from(text, "base64").length >= 16, "must hold 16 octets at least")
    .describe("Base64, as tsig-keygen makes it."),
});

type TsigKeySettings = z.output<typeof tsigKey>;

/** Keys by name: two names that differ in case alone are one (RFC 8945 4.2, RFC 4343). */
const tsigKeys = z.codec(z.record(z.string(), tsigKey), z.custom<Record<string, TsigKeySettings>>(), {
  decode: (given, context) => {
    const made: Record<string, TsigKeySettings> = {};
    for (const [text, key] of Object.entries(given)) {
      const name = toDomain(text);
      if (name === null) context.issues.push({ code: "custom", path: [text], message: noDomain(text), input: given });
      else if (Object.hasOwn(made, name)) context.issues.push({ ...twice(name, [text]), input: given });
      else made[name] = key;
    }
    return made;
  },
  encode: (made) => made,
});

const transfers = z
  .strictObject({
    from: z.array(prefix).max(1000).default([]).describe("Networks that may have zones."),
    keys: z.array(domain).max(100).default([]).describe("Keys of tsigKeys that a client must sign with, one of them."),
    notify: z
      .array(z.union([listen, z.strictObject({ to: listen, key: domain.optional() })]))
      .max(100)
      .default([])
      .describe("Servers that are told of every new serial (RFC 1996): ADDRESS:PORT, or {to, key} to sign it."),
  })
  .refine(({ from, keys }) => from.length + keys.length > 0, "needs networks (from), keys, or both");

const dnssec = z.strictObject({
  zones: z
    .union([z.literal("all"), z.array(domain).min(1).max(10_000)])
    .default("all")
    .describe("Which zones are signed."),
  keys: z
    .string()
    .min(1)
    .optional()
    .describe("Folder of the keys, which are made there when they are missing. Default: /var/lib/sluice/dnssec."),
  validity: seconds
    .prefault("14d")
    .refine((value) => value >= 3600, "must be an hour at least")
    .describe("How long a signature holds; it is made anew when a quarter of that is left."),
  zskLifetime: seconds.optional().describe("Age at which a zone-signing key is replaced. Default: never by itself."),
  dnskeyTtl: seconds.prefault("1h").describe("TTL of the DNSKEY set."),
  propagation: seconds
    .prefault("1h")
    .describe(
      "How long it takes until all servers of the zones know of a new key; each step of a rollover waits for it.",
    ),
  parentTtl: seconds.prefault("1d").describe("TTL of the DS that the parent answers."),
  signatures: z
    .int()
    .min(1)
    .max(100_000)
    .default(1000)
    .describe("Most signatures a second and worker for names that clients make up; beyond, they are sent to TCP."),
  cache: z.int().min(100).max(10_000_000).default(20_000).describe("Signatures that a worker remembers."),
});

/** Zones of which one is refused are still as they were written: then nothing more is said of any. */
const readZones = (zones: readonly ZoneSettings[]): readonly ZoneSettings[] =>
  Array.isArray(zones) && zones.every((zone) => typeof zone === "object") ? zones : [];

/** Types that signing makes: DS of a zone's own name is its parent's. */
const madeTypes: readonly number[] = [Type.RRSIG, Type.NSEC, 50, 51, Type.DNSKEY, Type.CDS, Type.CDNSKEY];

/** The top-level key `dns:`: the name server itself, shared by all dns services. */
export const settings = z
  .strictObject({
    listen: z
      .array(listen)
      .min(1)
      .max(256)
      .describe("Where queries arrive: ADDRESS:PORT, UDP and TCP; port 53 by default."),
    zones: zones.prefault([]),
    ns: z
      .array(nameServer)
      .max(16)
      .default([])
      .describe("Name servers of every zone, with addresses where they are not this one's. Default: ns.ZONE."),
    soa: soa.prefault({}).describe("The zones' SOA record."),
    udpSize: z.int().min(512).max(4096).default(SAFE_SIZE).describe("Most octets of an answer over UDP."),
    xdp: z
      .enum(["off", "auto", "native"])
      .default("off")
      .describe(
        "Answer plain questions where they arrive, before the host's firewall sees them. auto: native where the driver can, generic elsewhere and on veth; native: natively on veth too.",
      ),
    debug: z
      .strictObject({ from: z.array(prefix).min(1).max(1000).describe("Networks that may ask.") })
      .optional()
      .describe("Says why a service's name is answered as it is: TXT in class CH, at that name. Default: to nobody."),
    nsid: z.string().min(1).max(64).optional().describe("Name of this server for clients that ask for it (RFC 5001)."),
    tcp: tcp.prefault({}).describe("Limits of TCP connections."),
    clientSubnet: z
      .boolean()
      .default(false)
      .describe(
        "Take a resolver's word for the network of its client (RFC 7871). For known resolvers: anybody can claim any.",
      ),
    cookies: cookies.prefault({}).describe("Server cookies (RFC 7873)."),
    tsigKeys: tsigKeys.default({}).describe("Secrets that are shared with other servers (RFC 8945), by name."),
    transfers: transfers
      .optional()
      .describe(
        "Who may have zones whole (AXFR over TCP). With both networks and keys it takes both. Default: nobody.",
      ),
    dnssec: dnssec.optional().describe("Signs zones (DNSSEC, ECDSA P-256). Default: none is signed."),
    rateLimit: rateLimit
      .optional()
      .describe("Limits answers over UDP per client network, but for clients with a valid cookie. Default: none."),
  })
  .superRefine(({ ns, listen: own, dnssec: signing, zones: given, transfers: out, tsigKeys: shared }, context) => {
    const servers = ns.map((one) => (typeof one === "string" ? one : one.name));
    for (const [i, name] of servers.entries()) if (servers.indexOf(name) < i) context.addIssue(twice(name, ["ns", i]));
    const known = (key: string | undefined, path: (string | number)[]): void => {
      const message = `"${key}" is no key of tsigKeys: ${Object.keys(shared).join(", ") || "there are none"}.`;
      if (key !== undefined && !Object.hasOwn(shared, key))
        context.addIssue({ code: "custom", path: ["transfers", ...path], message });
    };
    for (const [i, key] of (out?.keys ?? []).entries()) known(key, ["keys", i]);
    for (const [i, one] of (out?.notify ?? []).entries()) {
      const { to, key } = "to" in one ? one : { to: one, key: undefined };
      known(key, ["notify", i, "key"]);
      const v6 = to.address.includes(":");
      if (own.some(({ address: ours }) => ours.includes(":") === v6)) continue;
      const message = `${to.address} can be told nothing: no address of listen is ${v6 ? "IPv6" : "IPv4"}.`;
      context.addIssue({ code: "custom", path: ["transfers", "notify", i], message });
    }
    for (const { name, lines } of readZones(given)) {
      if (signing?.zones !== "all" && !signing?.zones.includes(name)) continue;
      const own = lines.map((line) => recordOf(line).type).find((type) => madeTypes.includes(type));
      const message = `${name} is signed here, and ${own === undefined ? "" : typeName(own)} is made then: leave it out.`;
      if (own !== undefined) context.addIssue({ code: "custom", path: ["zones", name], message });
    }
  });
export type DnsSettings = z.output<typeof settings>;

const adaptive = z
  .strictObject({
    min: seconds.prefault("5s").describe("At least; also while a backend is on its way to another state."),
    max: seconds.prefault("1m").describe("At most; also where nothing is checked."),
  })
  .refine(({ min, max }) => min <= max, "min must not be above max")
  .describe(
    "The shortest time in which checks could change the answer (interval x fall or rise), or until an operator's word ends, within these limits.",
  );

/** A service's own key `dns:`. */
export const options = z.strictObject({
  ttl: z
    .union([seconds, adaptive])
    .prefault("30s")
    .describe("How long resolvers may keep an answer, and so the longest a dead backend is still sent clients."),
  answers: z.int().min(1).max(MOST_ADDRESSES).optional().describe("Most addresses in one answer. Default: all."),
  empty: z
    .union([
      z.enum(["all", "nodata", "servfail"]),
      z.strictObject({ fallback: z.array(address).min(1).max(64).describe("Addresses that nobody checks.") }),
    ])
    .default("all")
    .describe(
      "What to answer when no backend is eligible. all: every one that only a failed check keeps out; fallback: these addresses.",
    ),
  steer: nest.optional(),
  upThreshold: upThreshold.default(0),
  network: z
    .strictObject({ ipv4: z.int().min(1).max(32).default(24), ipv6: z.int().min(1).max(128).default(56) })
    .prefault({})
    .describe(
      "For schedulers that keep a client at a backend (source-hash): how many bits of its address are the client.",
    ),
});
export type DnsOptions = z.output<typeof options>;

/** The shortest TTL that an answer of a service can have, seconds. */
export const shortestTtl = ({ ttl }: DnsOptions): number => (typeof ttl === "number" ? ttl : ttl.min);
