import { describe, expect, test } from "bun:test";
import { parsePrefix } from "../../geo/prefix.ts";
import { trieOf } from "../../geo/trie.ts";
import { RateLimiter } from "./rate-limit.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

/** Time stands still: nobody's rate recovers. */
const server = (more: Record<string, unknown>, transport: object = {}) =>
  aServer([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])], more, transport, { now: () => 0 });
const COOKIE = Buffer.from("2464c4abcf10c957", "hex");

/** A query with a COOKIE option. */
function withCookie(cookie: Uint8Array): Buffer {
  const bytes = Buffer.concat([
    ask({ name: "shop.example.com", edns: 1232 }),
    Buffer.from([0, 10, 0, cookie.length]),
    cookie,
  ]);
  bytes.writeUInt16BE(4 + cookie.length, bytes.length - 6 - cookie.length);
  return bytes;
}
/** The cookie at the end of an answer, null for none. */
function cookieOf(answer: Buffer): Buffer | null {
  const option = answer.subarray(-28, -24);
  return option.equals(Buffer.from([0, 10, 0, 24])) ? Buffer.from(answer.subarray(-24)) : null;
}
const rcode = (answer: Buffer): number => {
  const opt = answer.lastIndexOf(Buffer.from([0, 0, 41]));
  return ((opt < 0 ? 0 : answer[opt + 5]!) << 4) | (answer[3]! & 15);
};

describe("cookies", () => {
  test("only for a client that sent one; the one it got is returned as it is", () => {
    const { raw } = server({});
    expect(cookieOf(raw(ask({ name: "shop.example.com", edns: 1232 })))).toBeNull();
    const made = cookieOf(raw(withCookie(COOKIE)))!;
    expect(made.subarray(0, 8)).toEqual(COOKIE);
    expect(cookieOf(raw(withCookie(made)))).toEqual(made);
    expect(cookieOf(raw(withCookie(made), "192.0.2.10"))).not.toEqual(made);
    expect(cookieOf(raw(withCookie(made), "2001:db8::1"))).not.toBeNull();
  });
  test("of several the first counts, whatever the others are (RFC 7873 5.2)", () => {
    const { raw } = server({});
    const [made, other] = [COOKIE, Buffer.from("ffffffffffffffff", "hex")].map((c) => cookieOf(raw(withCookie(c)))!);
    for (const second of [other!, Buffer.alloc(3)]) {
      const head = withCookie(made!);
      const bytes = Buffer.concat([head, Buffer.from([0, 10, 0, second.length]), second]);
      bytes.writeUInt16BE(28 + 4 + second.length, head.length - 30);
      expect(cookieOf(raw(bytes))).toEqual(made!);
    }
  });
  test("servers with the same secret know each other's, also while it changes", () => {
    const [old, next] = ["00".repeat(16), "11".repeat(16)];
    const made = cookieOf(server({ cookies: { secret: old } }).raw(withCookie(COOKIE)))!;
    const require = true;
    const code = (cookies: object): number => rcode(server({ cookies: { require, ...cookies } }).raw(withCookie(made)));
    expect([code({ secret: old }), code({ secret: next, accept: [old] }), code({ secret: next })]).toEqual([0, 0, 23]);
  });
  test("required: a wrong one is BADCOOKIE with a new one, none at all means TCP", () => {
    const { raw, counted } = server({ cookies: { require: true } });
    const answer = raw(withCookie(COOKIE));
    expect([rcode(answer), answer[7]]).toEqual([23, 0]);
    expect(rcode(raw(withCookie(cookieOf(answer)!)))).toBe(0);
    const plain = raw(ask({ name: "shop.example.com" }));
    expect([plain[2]! & 2, plain[7]]).toEqual([2, 0]);
    expect(counted("SLUICE_DNS_BADCOOKIE")).toBe(1);
    expect(server({ cookies: { require: true } }, { tcp: true }).raw(withCookie(COOKIE))[7]).toBe(1);
  });
  test("a question is not needed (RFC 7873 5.4)", () => {
    const bytes = withCookie(COOKIE);
    const bare = Buffer.concat([bytes.subarray(0, 12), bytes.subarray(-23)]);
    bare[5] = 0;
    const answer = server({}).raw(bare);
    expect([rcode(answer), answer[5], cookieOf(answer)!.length]).toEqual([0, 0, 24]);
  });
});

describe("rate limiting", () => {
  const limits = (more: object = {}) => ({ rateLimit: { perSecond: 5, ...more } });
  test("beyond the burst every second answer is truncated, the others are silence", () => {
    const { raw, counted } = server(limits());
    const answers = Array.from({ length: 15 }, () => Buffer.from(raw(ask({ name: "shop.example.com" }))));
    expect(answers.slice(0, 5).every((a) => a[7] === 1)).toBe(true);
    const rest = answers.slice(5).map((a) => (a.length === 0 ? "silent" : (a[2]! & 2) !== 0 ? "tcp" : "answer"));
    expect(rest.filter((r) => r === "tcp").length).toBe(5);
    expect(rest.filter((r) => r === "silent").length).toBe(5);
    expect(counted("SLUICE_DNS_LIMITED")).toBe(10);
    expect(raw(ask({ name: "shop.example.com" }), "198.51.100.1")[7]).toBe(1);
  });
  test("rate.cookie: slip 0 is silence, slip 1 always truncation; TCP, exceptions and valid cookies are free", () => {
    const flood = (more: object, transport = {}, question = ask({ name: "shop.example.com" })): Buffer[] => {
      const { raw } = server(limits(more), transport);
      return Array.from({ length: 12 }, () => Buffer.from(raw(question)));
    };
    expect(flood({ slip: 0 }).filter((a) => a.length === 0)).toHaveLength(7);
    expect(flood({ slip: 1 }).filter((a) => (a[2]! & 2) !== 0)).toHaveLength(7);
    expect(flood({}, { tcp: true }).every((a) => a[7] === 1)).toBe(true);
    expect(flood({ except: ["192.0.2.0/24"] }).every((a) => a[7] === 1)).toBe(true);
    const { raw } = server(limits());
    const cookie = cookieOf(raw(withCookie(COOKIE)))!;
    expect(Array.from({ length: 20 }, () => raw(withCookie(cookie))[7]).every((count) => count === 1)).toBe(true);
  });
  test("a network as a whole is limited too, and recovers with time", () => {
    let now = 0;
    const limiter = new RateLimiter({ perSecond: 10, burst: 10, except: null }, () => now, 1);
    let passed = 0;
    for (let host = 0; host < 256; host++)
      for (let i = 0; i < 10; i++) if (!limiter.limited(Uint8Array.of(192, 0, 2, host), 4)) passed++;
    expect(passed).toBeGreaterThan(300);
    expect(passed).toBeLessThan(340);
    now = 1000;
    expect(limiter.limited(Uint8Array.of(192, 0, 2, 7), 4)).toBe(false);
    const except = trieOf([parsePrefix("2001:db8::/32")!]);
    const v6 = new RateLimiter({ perSecond: 1, burst: 1, except }, () => now, 1);
    const host = (first: number) => Uint8Array.from([0x20, 1, 0x0d, first, ...Array(12).fill(0)]);
    expect([v6.limited(host(1), 16), v6.limited(host(1), 16)]).toEqual([false, true]);
    expect([v6.limited(host(0xb8), 16), v6.limited(host(0xb8), 16)]).toEqual([false, false]);
  });
});
