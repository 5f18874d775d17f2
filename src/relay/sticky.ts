import { createHmac } from "node:crypto";
import { z } from "zod";
import { backendName } from "../core/backend.ts";
import { duration } from "../core/schema-words.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { FieldBlock } from "../protocols/http/field-block.ts";
import { Field } from "../protocols/http/fields.ts";
import { ascii } from "../protocols/http/octets.ts";
import { StickyHash } from "./sticky-hash.ts";
import type { Among } from "./tagged.ts";

/** What stands under `sticky:` of a proxy service. */
export const sticky = z
  .strictObject({
    cookie: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, "Write a name of letters, digits, _ and -.")
      .optional()
      .describe("Name of the cookie; sluice by default."),
    secret: z
      .string()
      .min(16, "Write at least 16 characters, such as openssl rand -hex 16 prints.")
      .optional()
      .describe("Signs the cookie. Directors that share it, and the service's name, know each other's."),
    age: duration({ min: 1000 })
      .optional()
      .describe("How long clients keep the cookie; without, until they are closed."),
    header: z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, "Write the name of a field.")
      .optional()
      .describe("Instead of a cookie: requests with the same value of this field go to the same backend."),
    client: z
      .literal(true)
      .optional()
      .describe("Instead of a cookie: requests from the same address (of IPv6: network) go to the same backend."),
  })
  .superRefine(({ cookie, secret, age, header, client }, context) => {
    const refuse = (message: string): void => context.addIssue({ code: "custom", message });
    const ways = [secret, header, client].filter((way) => way !== undefined).length;
    if (ways > 1) refuse("Clients are known by a cookie (with secret), a header or their address: choose one.");
    else if (ways === 0)
      refuse(
        cookie === undefined && age === undefined ? "Write secret, header or client." : "A cookie needs a secret.",
      );
    else if (secret === undefined && (cookie !== undefined || age !== undefined))
      refuse("cookie and age belong to a cookie, which needs a secret.");
  });

export type StickyOptions = z.output<typeof sticky>;
const DEFAULT_COOKIE = "sluice";

/** A client's connection, as to whose it is. */
export interface Owned {
  /** u32 hash of the client's network. */
  readonly owner: number;
}

/** Where a request belongs, by what it brings. */
export interface Sticky {
  /** The backend that it should go to; -1: any. Valid bytes only during the call. */
  home(bytes: Buffer, fields: FieldBlock, among: Among, client: Owned): number;
  /** The line for a client that this backend has answered, which is not its home; null: none. */
  line(backend: number): Buffer | null;
  follow(snapshot: Snapshot): void;
}

/** `seed`: of the hash by which requests are spread over backends. */
export const createSticky = (options: StickyOptions, service: string, snapshot: Snapshot, seed: number): Sticky =>
  options.secret === undefined
    ? new StickyHash(options.header ?? null, seed)
    : new StickyCookie(options, options.secret, service, snapshot);

/**
 * Cookies that bring a client back to its backend. A cookie's value is a keyed hash (HMAC-SHA-256) of service and
 * backend: it says nothing of the backend's address, and nobody without the secret can make one.
 */
class StickyCookie implements Sticky {
  private readonly cookie: string;
  private readonly age: number | undefined;
  private readonly secret: string;
  private readonly service: string;
  private readonly values = new Map<string, string>();
  private byValue = new Map<string, number>();
  private lines: (Buffer | undefined)[] = [];

  constructor({ cookie = DEFAULT_COOKIE, age }: StickyOptions, secret: string, service: string, snapshot: Snapshot) {
    this.cookie = cookie;
    this.age = age;
    this.secret = secret;
    this.service = service;
    this.follow(snapshot);
  }

  follow({ backends }: Snapshot): void {
    const named = backends.map((backend) => ({ id: backend.id, value: this.valueOf(backendName(backend)) }));
    const { cookie, age } = this;
    const life = age === undefined ? "" : `; Max-Age=${Math.round(age / 1000)}`;
    this.byValue = new Map(named.map(({ id, value }) => [value, id]));
    this.lines = [];
    for (const { id, value } of named)
      this.lines[id] = ascii(`Set-Cookie: ${cookie}=${value}; Path=/; HttpOnly; SameSite=Lax${life}\r\n`);
  }

  private valueOf(name: string): string {
    const known = this.values.get(name);
    if (known !== undefined) return known;
    const hash = createHmac("sha256", this.secret).update(`${this.service}\0${name}`).digest();
    const value = hash.subarray(0, 18).toString("base64url");
    this.values.set(name, value);
    return value;
  }

  /** The backend that the request's cookie names; -1: none, or none that is there. */
  home(bytes: Buffer, fields: FieldBlock): number {
    for (let k = 0; k < fields.count; k++) {
      if (fields.id[k] !== Field.COOKIE) continue;
      for (const pair of bytes.toString("latin1", fields.value[k], fields.valueEnd[k]).split(";")) {
        const [name, value] = pair.trim().split("=", 2);
        const id = name === this.cookie && value !== undefined ? this.byValue.get(value) : undefined;
        if (id !== undefined) return id;
      }
    }
    return -1;
  }

  line(backend: number): Buffer | null {
    return this.lines[backend] ?? null;
  }
}
