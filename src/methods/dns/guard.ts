import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { ClientAddress, parsePrefix } from "../../geo/prefix.ts";
import { trieOf } from "../../geo/trie.ts";
import { Cookies } from "../../protocols/dns/cookie.ts";
import type { Query } from "../../protocols/dns/query.ts";
import type { Transport } from "../../protocols/dns/respond.ts";
import type { Asker } from "./dnssec/signature-budget.ts";
import type { DnsSettings } from "./options.ts";
import { RateLimiter } from "./rate-limit.ts";

/** What is to be done with a query: answer it, say that its cookie is wrong, send it to TCP, or be silent. */
export type Decision = "answer" | "badcookie" | "tcp" | "silent";

/** Who may be answered: cookies (RFC 7873) and the rate of answers over UDP. One query at a time. */
export class Guard implements Asker {
  private readonly cookies: Cookies;
  private readonly requireCookie: boolean;
  private readonly limiter: RateLimiter | null;
  private readonly slip: number;
  private slipped = 0;
  /** Is the address of the last query's client known to be its own: by a cookie, or by TCP's handshake? */
  proven = false;
  /** The last query's client. */
  address = new ClientAddress();

  /** `now`: monotonic ms; `clock`: seconds since 1970. */
  constructor(settings: DnsSettings, seed: number, now: () => number, clock = () => Math.floor(Date.now() / 1000)) {
    const { cookies, rateLimit } = settings;
    const secrets = [cookies.secret ?? ownSecret(seed), ...cookies.accept].map((hex) => Buffer.from(hex, "hex"));
    this.cookies = new Cookies(secrets, clock);
    this.requireCookie = cookies.require;
    this.slip = rateLimit?.slip ?? 0;
    if (rateLimit === undefined) {
      this.limiter = null;
    } else {
      const { perSecond, burst = perSecond, except } = rateLimit;
      const free = except.length === 0 ? null : trieOf(except.map((text) => parsePrefix(text)!));
      this.limiter = new RateLimiter({ perSecond, burst, except: free }, now, seed);
    }
  }

  /** Judges a parsed query; puts the cookie of the answer into it when the client sent one. */
  decide(query: Query, address: ClientAddress, transport: Transport): Decision {
    const { octets, size } = address;
    this.proven = transport.tcp;
    this.address = address;
    if (query.cookieLength === 0 && this.limiter === null && !this.requireCookie) return "answer";
    let known = false;
    if (query.cookieLength > 0) {
      const { bytes, cookieAt, cookieLength, cookie } = query;
      known = this.cookies.check(bytes, cookieAt, cookieLength, octets, size, cookie);
      query.answerCookie = true;
    }
    // Over TCP the address is proven by the handshake.
    this.proven ||= known;
    if (this.proven) return "answer";
    if (this.limiter?.limited(octets, size)) {
      this.slipped++;
      return this.slip > 0 && this.slipped % this.slip === 0 ? "tcp" : "silent";
    }
    if (!this.requireCookie) return "answer";
    return query.cookieLength > 0 ? "badcookie" : "tcp";
  }
}

/**
 * The secret when none is configured, hex: the same for all workers and over reloads, different on every machine. The
 * seed alone has 32 bits, which a client could try out; the machine's id adds 128.
 */
function ownSecret(seed: number): string {
  let machine = "";
  try {
    machine = readFileSync("/etc/machine-id", "utf8").trim();
  } catch {
    // A container may have none.
  }
  return createHash("sha256").update(`sluice dns cookie ${machine} ${seed}`).digest("hex").slice(0, 32);
}
