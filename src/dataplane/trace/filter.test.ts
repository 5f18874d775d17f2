import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { prefixText } from "../../geo/prefix.ts";
import { type Filter, faultText, isFault, parseFilter } from "./filter.ts";

const services = ["web", "dns-front"];
const filterOf = (text: string): Filter => {
  const parsed = parseFilter(text, services);
  if (isFault(parsed)) throw new Error(faultText(text, parsed));
  return parsed;
};
/** The filter in a few words, to compare. */
const said = (text: string): string =>
  filterOf(text)
    .map((clause) =>
      clause
        .map((term) => {
          const value = "prefix" in term ? prefixText(term.prefix) : JSON.stringify(Object.values(term)[1]);
          return `${term.negated ? "not " : ""}${term.kind} ${value}`;
        })
        .join(" & "),
    )
    .join(" | ");

describe("a filter", () => {
  test("is tests joined by and, which binds closer than or", () => {
    expect(filterOf("")).toEqual([]);
    expect(filterOf("  \t ")).toEqual([]);
    expect(said("tcp and src 10.0.0.0/8 or not dport 443")).toBe(
      "protocol 6 & source 10.0.0.0/8 | not target-port 443",
    );
    expect(said("host 2001:db8::/32 and not not service web")).toBe('host 2001:db8::/32 & service "web"');
    expect(said("verdict dropped and reason SLUICE_DROP_TABLE_FULL")).toBe("verdict 1 & reason 4");
    expect(said("dst 125.12.12.77 or error")).toBe("target 125.12.12.77/32 | error false");
  });

  test("that is wrong is refused with a caret under what is meant", () => {
    const told = (text: string): string => {
      const parsed = parseFilter(text, services);
      return isFault(parsed) ? faultText(text, parsed) : "taken";
    };
    expect(told("tcp and prot 80")).toBe(
      '"prot" is not a test. Did you mean "proto"?\n  tcp and prot 80\n          ^^^^',
    );
    expect(told("src 10.0.0.1/8")).toBe(
      '"10.0.0.1/8" is not an address or a network such as 10.0.0.0/8.\n  src 10.0.0.1/8\n      ^^^^^^^^^^',
    );
    expect(told("port 0")).toBe('"0" is not a port from 1 to 65535.\n  port 0\n       ^');
    expect(told("service wep")).toBe(
      'No service "wep" is in the kernel. Did you mean "web"?\n  service wep\n          ^^^',
    );
    expect(told("tcp udp")).toBe('Tests are joined by "and" or "or", not by "udp".\n  tcp udp\n      ^^^');
    expect(told("tcp and")).toBe("A test is missing at the end.\n  tcp and\n         ^");
    expect(told("not")).toBe("A test is missing at the end.\n  not\n     ^");
    expect(told("src")).toBe('"src" needs a value.\n  src\n  ^^^');
    expect(told("proto constructor")).toContain('"constructor" is not a protocol.');
    expect(told("toString")).toContain('"toString" is not a test.');
    expect(told(Array.from({ length: 17 }, () => "tcp").join(" and "))).toContain("A filter has at most 16 tests.");
  });

  test("of any text is taken or refused with a place inside of it, and never throws", () => {
    const word = fc.constantFrom("tcp", "not", "and", "or", "src", "10.0.0.0/8", "port", "80", "service", "web", "é");
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 40 }).map((words) => words.join(" ")),
    );
    fc.assert(
      fc.property(text, (written) => {
        const parsed = parseFilter(written, services);
        if (!isFault(parsed)) {
          expect(parsed.flat().length).toBeLessThanOrEqual(16);
          return;
        }
        expect(parsed.message).not.toBe("");
        expect(parsed.at).toBeLessThanOrEqual(written.length);
      }),
      { numRuns: 300 },
    );
  });
});
