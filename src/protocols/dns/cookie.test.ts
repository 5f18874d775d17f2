import { describe, expect, test } from "bun:test";
import { Cookies } from "./cookie.ts";
import { sipHash24 } from "./siphash.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

test("SipHash-2-4: vectors of its authors", () => {
  const key = Uint8Array.from({ length: 16 }, (_, i) => i);
  const expected = ["310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785"];
  const data = Uint8Array.from({ length: 64 }, (_, i) => i);
  const out = new Uint8Array(8);
  const hash = (length: number): string => {
    sipHash24(key, data, length, out, 0);
    return Buffer.from(out).toString("hex");
  };
  expect([0, 1, 2, 3].map(hash)).toEqual(expected);
  // The paper's appendix A: 15 octets.
  expect(hash(15)).toBe("e545be4961ca29a1");
});

describe("cookies: RFC 9018 appendix A", () => {
  const secret = hex("e5e973e5a6b2a43f48e7dc849e37bfcf");
  const v4 = Uint8Array.of(198, 51, 100, 100);
  const ask = (cookie: string, now: number, address: Uint8Array = v4, secrets = [secret]): [boolean, string] => {
    const out = new Uint8Array(24);
    const bytes = hex(cookie);
    const valid = new Cookies(secrets, () => now).check(bytes, 0, bytes.length, address, address.length, out);
    return [valid, Buffer.from(out).toString("hex")];
  };
  test("A.1: a new one", () => {
    expect(ask("2464c4abcf10c957", 1559731985)).toEqual([false, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"]);
  });
  test("A.2: an old but valid one is renewed", () => {
    expect(ask("2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385)).toEqual([
      true,
      "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
    ]);
  });
  test("A.3: reserved bits that are set are hashed as they are", () => {
    const address = Uint8Array.of(203, 0, 113, 203);
    expect(ask("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985, address)).toEqual([
      true,
      "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
    ]);
  });
  test("A.4, edns.cookie.staging: IPv6; one of the last secret is accepted and renewed with the new one", () => {
    const address = hex("20010db80220000159ded0f4876982b8");
    const before = hex("dd3bdf9344b678b185a6f5cb60fca715");
    const after = hex("445536bcd2513298075a5d379663c962");
    const made = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
    expect(ask("22681ab97d52c298", 1559741817, address, [before])).toEqual([false, made]);
    expect(ask(made, 1559741961, address, [after, before])).toEqual([
      true,
      "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
    ]);
    expect(ask(made, 1559741961, address, [after])[0]).toBe(false);
  });
  test("edns.cookie.time: too old, from the future, of another client, or altered: not valid", () => {
    const [, made] = ask("2464c4abcf10c957", 1_000_000);
    expect([1_000_000, 1_003_600, 999_700].map((now) => ask(made, now)[0])).toEqual([true, true, true]);
    expect([1_003_601, 999_699].map((now) => ask(made, now)[0])).toEqual([false, false]);
    expect(ask(made, 1_000_000, Uint8Array.of(198, 51, 100, 101))[0]).toBe(false);
    for (let i = 0; i < 24; i++) {
      const altered = hex(made);
      altered[i]! ^= 1;
      expect(ask(Buffer.from(altered).toString("hex"), 1_000_000)[0]).toBe(false);
    }
    expect(ask(made.slice(0, 46), 1_000_000)[0]).toBe(false);
    expect(ask(`${made}00`, 1_000_000)[0]).toBe(false);
  });
});
