import { createHmac } from "node:crypto";
import { z } from "zod";
import { backendName } from "../core/backend.ts";
import { duration } from "../core/schema-words.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { FieldBlock } from "../protocols/http/field-block.ts";
import { Field } from "../protocols/http/fields.ts";
import { ascii } from "../protocols/http/octets.ts";

/** What stands under `sticky:` of a proxy service. */
export const sticky = z.strictObject({
  cookie: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, "Write a name of letters, digits, _ and -.")
    .default("sluice")
    .describe("Name of the cookie."),
  secret: z
    .string()
    .min(16, "Write at least 16 characters, such as openssl rand -hex 16 prints.")
    .describe("Signs the cookie. Directors that share it, and the service's name, know each other's."),
  age: duration({ min: 1000 }).optional().describe("How long clients keep it; without, until they are closed."),
});

export type StickyOptions = z.output<typeof sticky>;

/**
 * Cookies that bring a client back to its backend. A cookie's value is a keyed hash (HMAC-SHA-256) of service and
 * backend: it says nothing of the backend's address, and nobody without the secret can make one.
 */
export class Sticky {
  private readonly options: StickyOptions;
  private readonly service: string;
  private readonly values = new Map<string, string>();
  private byValue = new Map<string, number>();
  private lines: (Buffer | undefined)[] = [];

  constructor(options: StickyOptions, service: string, snapshot: Snapshot) {
    this.options = options;
    this.service = service;
    this.follow(snapshot);
  }

  follow({ backends }: Snapshot): void {
    const named = backends.map((backend) => ({ id: backend.id, value: this.valueOf(backendName(backend)) }));
    const { cookie, age } = this.options;
    const life = age === undefined ? "" : `; Max-Age=${Math.round(age / 1000)}`;
    this.byValue = new Map(named.map(({ id, value }) => [value, id]));
    this.lines = [];
    for (const { id, value } of named)
      this.lines[id] = ascii(`Set-Cookie: ${cookie}=${value}; Path=/; HttpOnly; SameSite=Lax${life}\r\n`);
  }

  private valueOf(name: string): string {
    const known = this.values.get(name);
    if (known !== undefined) return known;
    const hash = createHmac("sha256", this.options.secret).update(`${this.service}\0${name}`).digest();
    const value = hash.subarray(0, 18).toString("base64url");
    this.values.set(name, value);
    return value;
  }

  /** The backend that the request's cookie names; -1: none, or none that is there. */
  read(bytes: Buffer, fields: FieldBlock): number {
    for (let k = 0; k < fields.count; k++) {
      if (fields.id[k] !== Field.COOKIE) continue;
      for (const pair of bytes.toString("latin1", fields.value[k], fields.valueEnd[k]).split(";")) {
        const [name, value] = pair.trim().split("=", 2);
        const id = name === this.options.cookie && value !== undefined ? this.byValue.get(value) : undefined;
        if (id !== undefined) return id;
      }
    }
    return -1;
  }

  /** The `Set-Cookie` line for a client that this backend has answered; null when it is gone. */
  line(backend: number): Buffer | null {
    return this.lines[backend] ?? null;
  }
}
