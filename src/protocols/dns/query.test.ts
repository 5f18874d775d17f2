import { describe, expect, test } from "bun:test";
import packet from "dns-packet";
import fc from "fast-check";
import { wireToName } from "./name.ts";
import { parseQuery, Query } from "./query.ts";

const query = new Query();
const parse = (bytes: Uint8Array) => parseQuery(query, bytes, bytes.length);
/** Header fields, then whatever follows. */
const message = (counts: [number, number, number, number], rest: number[], flags = 0x0100): Uint8Array =>
  Uint8Array.from([0x12, 0x34, flags >> 8, flags & 255, ...counts.flatMap((n) => [n >> 8, n & 255]), ...rest]);
const example = [7, 101, 120, 97, 109, 112, 108, 101, 3, 99, 111, 109, 0];
const question = [...example, 0, 1, 0, 1];
const opt = (data: number[] = [], version = 0): number[] => [
  0,
  0,
  41,
  4,
  208,
  0,
  version,
  0x80,
  0,
  0,
  data.length,
  ...data,
];

describe("a query", () => {
  test("is read as dns-packet wrote it", () => {
    const name = fc.array(fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        name,
        fc.constantFrom("A", "AAAA", "SOA", "TXT"),
        fc.option(fc.integer({ min: 1, max: 65535 })),
        (labels, type, size) => {
          const bytes = packet.encode({
            id: 77,
            type: "query",
            questions: [{ name: labels.join("."), type }],
            additionals: size === null ? [] : [{ type: "OPT", name: ".", udpPayloadSize: size, options: [] }],
          });
          expect(parse(bytes)).toBe("query");
          expect(query.labels).toBe(labels.length);
          expect(wireToName(bytes, 12)).toBe(labels.join("."));
          expect(query.type).toBe({ A: 1, AAAA: 28, SOA: 6, TXT: 16 }[type]);
          expect(query.edns).toBe(size !== null);
          if (size !== null) expect(query.udpSize).toBe(size);
        },
      ),
    );
  });

  test("leaves nothing of the one before", () => {
    expect(parse(message([1, 0, 0, 1], [...question, ...opt([0, 3, 0, 0, 0, 11, 0, 0])]))).toBe("query");
    expect([query.edns, query.dnssecOk, query.nsid, query.keepalive]).toEqual([true, true, true, true]);
    expect(parse(message([1, 0, 0, 0], question))).toBe("query");
    expect([query.edns, query.dnssecOk, query.nsid, query.keepalive]).toEqual([false, false, false, false]);
  });

  const cases: [why: string, bytes: Uint8Array, verdict: string][] = [
    ["eleven octets", message([1, 0, 0, 0], []).subarray(0, 11), "drop"],
    ["a response", message([1, 0, 0, 0], question, 0x8000), "drop"],
    ["an unknown operation", message([0, 0, 0, 0], [], 15 << 11), "notimp"],
    ["an update", message([1, 0, 0, 0], question, 5 << 11), "notimp"],
    ["no question", message([0, 0, 0, 0], []), "formerr"],
    ["two questions", message([2, 0, 0, 0], [...question, ...question]), "formerr"],
    ["a question that is cut", message([1, 0, 0, 0], question.slice(0, -1)), "formerr"],
    ["a label that is cut", message([1, 0, 0, 0], [63, 97, 98]), "formerr"],
    ["a pointer in the question", message([1, 0, 0, 0], [0xc0, 12, 0, 1, 0, 1]), "formerr"],
    ["an unknown label type", message([1, 0, 0, 0], [0x41, 97, 0, 0, 1, 0, 1]), "formerr"],
    [
      "a name of 256 octets",
      message([1, 0, 0, 0], [...Array(127).fill([1, 97]).flat(), 2, 97, 97, 0, 0, 1, 0, 1]),
      "formerr",
    ],
    ["an answer record", message([1, 1, 0, 0], [...question, ...example, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]), "formerr"],
    ["an answer record that is counted only", message([1, 1, 0, 0], question), "formerr"],
    ["an OPT that is counted as an answer too", message([1, 1, 0, 1], [...question, ...opt()]), "formerr"],
    ["octets after the end", message([1, 0, 0, 0], [...question, 0]), "formerr"],
    ["octets after the OPT", message([1, 0, 0, 1], [...question, ...opt(), 0]), "formerr"],
    ["an OPT in the authority section", message([1, 0, 1, 0], [...example, 0, 251, 0, 1, ...opt()]), "formerr"],
    ["two OPT", message([1, 0, 0, 2], [...question, ...opt(), ...opt()]), "formerr"],
    ["an OPT that is not at the root", message([1, 0, 0, 1], [...question, 1, 97, ...opt()]), "formerr"],
    ["an option longer than its OPT", message([1, 0, 0, 1], [...question, ...opt([0, 10, 0, 9, 1])]), "formerr"],
    ["half an option's head", message([1, 0, 0, 1], [...question, ...opt([0, 10, 0])]), "formerr"],
    [
      "a cookie of 7 octets",
      message([1, 0, 0, 1], [...question, ...opt([0, 10, 0, 7, 1, 2, 3, 4, 5, 6, 7])]),
      "formerr",
    ],
    ["a record that is missing", message([1, 0, 0, 1], question), "formerr"],
    ["EDNS version 1", message([1, 0, 0, 1], [...question, ...opt([], 1)]), "badvers"],
    ["an unknown option", message([1, 0, 0, 1], [...question, ...opt([255, 1, 0, 2, 9, 9])]), "query"],
    ["all flags a client may set", message([1, 0, 0, 0], question, 0x07f0), "query"],
    [
      "another additional record",
      message([1, 0, 0, 1], [...question, 0xc0, 12, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]),
      "query",
    ],
    [
      "another record whose name has 256 octets",
      message(
        [1, 0, 0, 1],
        [...question, ...Array(126).fill([1, 97]).flat(), 2, 97, 97, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0],
      ),
      "formerr",
    ],
    ["a pointer forward", message([1, 0, 0, 1], [...question, 0xc0, 90, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]), "formerr"],
    ["the root", message([1, 0, 0, 0], [0, 0, 2, 0, 1]), "query"],
    ["a name of 255 octets", message([1, 0, 0, 0], [...Array(127).fill([1, 97]).flat(), 0, 0, 1, 0, 1]), "query"],
  ];
  test.each(cases)("%s", (_why, bytes, verdict) => {
    expect(parse(bytes)).toBe(verdict as ReturnType<typeof parse>);
  });

  test("any bytes have a verdict", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void parse(bytes)),
      { numRuns: 2000 },
    );
  });
});
