import { z } from "zod";
import { parseAddress, parseEndpoint } from "../core/address.ts";
import { backendName } from "../core/backend.ts";
import { duration } from "../core/schema-words.ts";
import type { BackendConfig, Listener } from "../core/service.ts";
import { listenerName } from "../core/service.ts";

const quote = (text: string): string => JSON.stringify(text);

/** Name of a service: part of metric labels, file names and commands. */
export const SERVICE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** A check that for text gives the sentence that refuses it, or null. */
const text = (refusal: (value: string) => string | null) =>
  z.string().superRefine((value, context) => {
    const message = refusal(value);
    if (message !== null) context.addIssue({ code: "custom", message });
  });

/** `8000-8100`, `*`, or one port at the end of an endpoint: the endpoint with its first port, and the last of a range. */
function splitPorts(endpoint: string): { first: string; last?: number } | null {
  if (endpoint.endsWith(":*")) return { first: `${endpoint.slice(0, -1)}1`, last: 65_535 };
  const [, first, low, high] = /^(.*:(\d{1,5}))-(\d{1,5})$/.exec(endpoint) ?? [];
  if (first === undefined) return { first: endpoint };
  return Number(low) < Number(high) && Number(high) <= 65_535 ? { first, last: Number(high) } : null;
}

/** `ADDRESS:PORT`, `[V6]:PORT`, a range of ports or `*`, with `/udp` for UDP; text in, Listener out, and back. */
export const listener = z
  .codec(z.string(), z.custom<Listener>(), {
    decode: (written, context): Listener => {
      const [, endpoint = written, suffix] = /^(.*?)(?:\/(\w*))?$/s.exec(written) ?? [];
      const ports = splitPorts(endpoint);
      const parsed = ports && parseEndpoint(ports.first);
      if (parsed && (suffix === undefined || suffix === "udp" || suffix === "tcp"))
        return {
          address: parsed.address,
          port: parsed.port!,
          ...(ports.last === undefined ? {} : { last: ports.last }),
          protocol: suffix === "udp" ? "udp" : "tcp",
        };
      context.issues.push({ code: "custom", message: listenerRefusal(written, endpoint, suffix), input: written });
      return z.NEVER;
    },
    encode: listenerName,
  })
  .describe(
    "Where clients arrive: ADDRESS:PORT, with /udp for UDP. IPv6 in brackets. For the kernel methods a VIP, which may have a range of ports (:8000-8100) or all (:*).",
  );

function listenerRefusal(written: string, endpoint: string, suffix: string | undefined): string {
  if (/:\d+-\d+$/.test(endpoint) && !splitPorts(endpoint))
    return `${quote(written)} is no range of ports: the first one must be below the last, which is at most 65535.`;
  if (parseEndpoint(splitPorts(endpoint)?.first ?? ""))
    return `${quote(`/${suffix}`)} is not a protocol: /udp or nothing.`;
  const bare = parseEndpoint(endpoint, true) ?? (parseAddress(endpoint) ? { port: null } : null);
  if (bare && bare.port === null) return `${quote(written)} lacks a port: write ADDRESS:PORT.`;
  if (/^:\d+$/.test(endpoint)) return `${quote(written)} lacks an address: 0.0.0.0${endpoint} is every IPv4 address.`;
  return `${quote(written)} is not ADDRESS:PORT (an IP address and a port from 1 to 65535).`;
}

/** A backend that is another service of the same configuration: its listeners. */
const FOLLOWS = /^service:([a-z0-9][a-z0-9-]{0,62})$/;

/** Where a backend is, as parsed. */
interface Endpoint {
  address: string;
  port: number | null;
  /** The service that it is; its address is known once all services are: see `followed.ts`. */
  follows?: string;
}

/** `ADDRESS`, `ADDRESS:PORT` or `service:NAME`: text in, Endpoint out. Read once, for there may be a hundred thousand. */
const endpoint = z.string().transform((written, context): Endpoint => {
  const follows = FOLLOWS.exec(written)?.[1];
  if (follows !== undefined) return { address: "", port: null, follows };
  const parsed = parseEndpoint(written, true);
  const message = parsed ? addressRefusal(parsed.address) : endpointRefusal(written);
  if (message === null) return parsed!;
  context.issues.push({ code: "custom", message, input: written });
  return z.NEVER;
});

const endpointRefusal = (written: string): string =>
  /^[a-z_][\w.-]*(:\d+)?$/i.test(written)
    ? `${quote(written)} is a name: a backend is an IP address, with or without :PORT.`
    : `${quote(written)} is not ADDRESS or ADDRESS:PORT (an IP address and a port from 1 to 65535).`;

/** Addresses that no host can have as its own. */
function addressRefusal(address: string): string | null {
  if (address === "0.0.0.0" || address === "::") return `${quote(address)} is no host's address.`;
  const many = address.includes(":") ? /^ff/i.test(address) : Number.parseInt(address, 10) >= 224;
  return many ? `${quote(address)} is not the address of one host.` : null;
}

const backendUrl = text((value) => {
  const parsed = URL.canParse(value) ? new URL(value) : null;
  if (!parsed || !/^https?:\/\/[^/\\]/i.test(value) || /[\s\\\u0000-\u001f\u007f]/.test(value))
    return `${quote(value)} is not a URL: http:// or https://, a host, and no more than a path.`;
  if (parsed.username || parsed.password) return "A URL of a backend may not hold a user or password.";
  return parsed.search || parsed.hash ? "A URL of a backend ends with its path: no ? and no #." : null;
});

const backendMapping = z.strictObject({
  address: endpoint.describe(
    "ADDRESS or ADDRESS:PORT; without a port, the listener's. service:NAME is that service's listeners.",
  ),
  weight: z.int().min(0).max(65535).default(1).describe("Share of work, relative to the others. 0: none."),
  url: backendUrl.optional().describe("What a redirect names instead of http://ADDRESS:PORT."),
  tier: z.int().min(0).max(255).default(0).describe("0 is used first; a higher tier only when all lower ones are out."),
  tags: z.array(z.string().min(1).max(63)).max(16).default([]).describe("Words of your own, shown in status."),
  state: z
    .enum(["ready", "drain", "maintenance"])
    .default("ready")
    .describe("drain: gets nothing new. maintenance: gets and keeps nothing."),
});

/** A backend: the bare address, or a mapping. */
export const backend = z.union([endpoint, backendMapping]).describe("One address that serves the service.");

/** What a bare address leaves unsaid. */
const { address: _, state: unsaidState, ...unsaid } = backendMapping.parse({ address: "192.0.2.1" });

/** A backend as parsed, to the form that the rest of the product knows. */
export function toBackend(written: z.output<typeof backend>): BackendConfig {
  if (typeof written.address === "string") return { ...(written as Endpoint), ...unsaid, admin: unsaidState };
  const { address: where, url, state: admin, ...rest } = written as z.output<typeof backendMapping>;
  return { ...where, ...rest, admin, ...(url === undefined ? {} : { url }) };
}

/** The inverse of `toBackend`: the shortest form that means the same, or with `full` every key. */
export function fromBackend(config: BackendConfig): z.input<typeof backendMapping> {
  const { url, weight, tier, tags, admin, follows } = config;
  return {
    address: follows ? `service:${follows}` : backendName(config),
    weight,
    ...(url === undefined ? {} : { url }),
    tier,
    tags,
    state: admin,
  };
}

const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i;
const MOST_NAME = 253;
/** What nearly all names are, in one look: in lower case, no dot at the end, and no address, for its last label begins with a letter. */
const PLAIN_NAME = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** A DNS name: lower case and without its last dot after parsing. A first label `*` stands for any labels. */
export const hostName = z
  .codec(z.string(), z.string(), {
    decode: (written, context) => {
      if (written.length <= MOST_NAME && PLAIN_NAME.test(written)) return written;
      const name = written.toLowerCase().replace(/\.$/, "");
      const labels = name.replace(/^\*\./, "").split(".");
      if (name.length <= MOST_NAME && labels.every((l) => label.test(l)) && parseAddress(name) === null) return name;
      context.issues.push({ code: "custom", message: `${quote(written)} is not a host name.`, input: written });
      return z.NEVER;
    },
    encode: (name) => name,
  })
  .describe("A name that clients use: dns answers for it, redirect and proxy route by it.");

const agentPort = z.int().min(1).max(65_535);

/** What stands under `agent`: the port, or a mapping. */
export const agent = z
  .union([
    agentPort,
    z.strictObject({
      port: agentPort.describe("Where the agents of all backends listen."),
      interval: duration({ min: 100, max: 86_400_000 }).prefault("2s").describe("From one question to the next."),
      timeout: duration({ min: 1, max: 3_600_000 })
        .optional()
        .describe("How long an answer may take. Default: 800ms, or the interval when that is shorter."),
      send: z.string().min(1).max(1024).optional().describe("Sent as soon as connected; without, nothing is."),
    }),
  ])
  .describe(
    "Asks each backend how it is, in HAProxy's agent-check protocol: its weight, limit, load and whether it takes work. Port, or a mapping.",
  );

/** The timing that every kind of check shares. */
export const checkTiming = {
  interval: duration({ min: 10, max: 86_400_000 }).prefault("2s").describe("From one probe to the next."),
  timeout: duration({ min: 1, max: 3_600_000 })
    .optional()
    .describe("How long a probe may take. Default: 800ms, or the interval when that is shorter."),
  rise: z.int().min(1).max(1000).default(2).describe("Successes in a row that bring a backend up."),
  fall: z.int().min(1).max(1000).default(3).describe("Failures in a row that take it down."),
  damp: duration({ min: 1000, max: 86_400_000 })
    .optional()
    .describe(
      "A backend that falls again within this time of its coming back needs twice as many successes to rise, each time, 64 times as many at most. Default: none is damped.",
    ),
};
