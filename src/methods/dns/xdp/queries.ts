import type { Service } from "../../../core/service.ts";
import type { Snapshot } from "../../../core/snapshot.ts";
import type { DnsOptions } from "../options.ts";
import { aBackend, aService, aSnapshot } from "../testing.ts";
import type { Way } from "./compare.ts";

/** A name of 255 octets, the longest there is: 3 labels of 63 and one that fills up. */
const LONGEST = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(49)}.example.com`;

const down = { state: "down" as const };

const cases: [Service<DnsOptions>, Snapshot["backends"]][] = [
  [aService("one"), [aBackend(0, "192.0.2.1")]],
  [
    aService("both"),
    [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.2"), aBackend(2, "2001:db8::1"), aBackend(3, "2001:db8::2")],
  ],
  [aService("weights"), [1, 2, 3, 4, 5].map((weight) => aBackend(weight, `192.0.2.${weight}`, { weight }))],
  [
    aService("even", { scheduler: { name: "round-robin", options: {} }, dns: { answers: 2 } }),
    [1, 2, 3, 4, 5, 6, 7].map((i) => aBackend(i, `192.0.2.${i}`)),
  ],
  [
    aService("first", { scheduler: { name: "random", options: {} }, dns: { answers: 1 } }),
    [1, 2, 3].map((i) => aBackend(i, `2001:db8::${i}`, { weight: i })),
  ],
  [aService("twice"), [aBackend(0, "192.0.2.1"), aBackend(1, "192.0.2.1"), aBackend(2, "192.0.2.2")]],
  [aService("dead"), [aBackend(0, "192.0.2.1", down), aBackend(1, "192.0.2.2", down), aBackend(2, "192.0.2.3", down)]],
  [aService("gone", { dns: { empty: "nodata" } }), [aBackend(0, "192.0.2.1", down)]],
  [aService("failing", { dns: { empty: "servfail" } }), [aBackend(0, "192.0.2.1", down)]],
  [
    aService("groups", { dns: { steer: { by: "failover", groups: ["a", "b"] } } }),
    [
      aBackend(0, "192.0.2.1", { tags: ["a"], ...down }),
      ...[2, 3].map((i) => aBackend(i, `192.0.2.${i}`, { tags: ["b"] })),
    ],
  ],
  [
    aService("drawn", { dns: { steer: { by: "weighted", groups: ["a", "b"] } } }),
    [aBackend(0, "192.0.2.1", { tags: ["a"] }), aBackend(1, "192.0.2.2", { tags: ["b"] })],
  ],
  [
    aService("shares", {
      dns: { steer: { by: "weighted", groups: [{ tag: "a", weight: 9 }, "b", { tag: "c", weight: 3 }] } },
    }),
    [
      aBackend(0, "192.0.2.1", { tags: ["a"] }),
      ...[1, 2, 3].map((i) => aBackend(i, `192.0.2.${i + 1}`, { tags: ["b"], weight: i })),
      aBackend(4, "2001:db8::1", { tags: ["c"] }),
    ],
  ],
  [
    aService("near", { nearest: true }),
    [
      aBackend(0, "192.0.2.1", { tags: ["east"] }),
      aBackend(1, "192.0.2.2", { tags: ["east"] }),
      aBackend(2, "192.0.2.3", { tags: ["west"] }),
      aBackend(3, "2001:db8::1", { tags: ["west"] }),
    ],
  ],
  [
    aService("nest", {
      dns: {
        steer: {
          by: "weighted",
          groups: [
            { tag: "geo", by: "nearest", weight: 2, groups: ["east", { tag: "west", by: "load", groups: ["a", "b"] }] },
            "rest",
          ],
        },
      },
    }),
    [
      aBackend(0, "192.0.2.1", { tags: ["geo", "east"] }),
      aBackend(1, "192.0.2.2", { tags: ["geo", "west", "a"] }),
      aBackend(2, "192.0.2.3", { tags: ["geo", "west", "b"] }),
      aBackend(3, "192.0.2.4", { tags: ["rest"] }),
      aBackend(4, "2001:db8::4", { tags: ["rest"] }),
    ],
  ],
  [
    aService("hashed", { dns: { steer: { by: "hash", groups: ["a", "b"] } } }),
    [aBackend(0, "192.0.2.1", { tags: ["a"] }), aBackend(1, "192.0.2.2", { tags: ["b"] })],
  ],
  [aService("fallback", { dns: { empty: { fallback: ["192.0.2.200"] } } }), [aBackend(0, "192.0.2.1", down)]],
  [aService("sticky", { scheduler: { name: "source-hash", options: {} } }), [aBackend(0, "192.0.2.1")]],
  [aService("many"), Array.from({ length: 40 }, (_, i) => aBackend(i, `192.0.2.${i + 1}`))],
  [aService("crowd"), Array.from({ length: 300 }, (_, i) => aBackend(i, `10.0.${i >> 8}.${i & 255}`))],
  [aService("deep", { names: ["a.b.c.example.com", "deep.example.com"] }), [aBackend(0, "192.0.2.1")]],
  [aService("star", { names: ["*.star.example.com"] }), [aBackend(0, "192.0.2.1")]],
  [aService("long", { names: [LONGEST] }), [aBackend(0, "192.0.2.1"), aBackend(1, "2001:db8::1")]],
  [aService("zero", { names: ["a\\000b.example.com", "\\255\\200.example.com"] }), [aBackend(0, "192.0.2.1")]],
];

export const services = cases.map(([service]) => service);
export const snapshots = cases.map(([service, backends]) => aSnapshot(service.name, [...backends]));
export const settings = {
  clientSubnet: true,
  places: {
    east: { networks: ["198.51.100.0/24", "192.0.2.0/28", "2001:db8:e::/48"], next: ["west"] },
    west: { networks: ["203.0.113.0/24", "198.51.100.77/32", "2001:db8::/64"], next: ["east"] },
    nowhere: { networks: ["10.0.0.0/9"] },
  },
  zones: {
    "example.com": {
      records: [
        "@ MX 10 mail",
        '@ TXT "an apex"',
        "mail A 192.0.2.25",
        "mail HTTPS 1 . alpn=h2",
        "both HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1",
        'both TXT "beside a service"',
        "www CNAME both",
        "old DNAME new",
        "a.new A 192.0.2.1",
        "sub NS ns.sub",
        "ns.sub A 192.0.2.2",
        `big TXT ${Array.from({ length: 12 }, (_, i) => `"${String(i).repeat(100).slice(0, 100)}"`).join(" ")}`,
      ],
    },
    "sub.example.net": {},
  },
};

const known = [
  ...services.flatMap(({ names }) => names),
  ...["", "mail.", "www.", "x.old.", "old.", "sub.", "deep.sub.", "big.", "ns.", "b.c.", "c."].map(
    (p) => `${p}example.com`,
  ),
  "sub.example.net",
  "ns.sub.example.net",
];
const missing = ["no", "x.no", "a.b.c.d.e.f.g.h.i.j", "one.one", "x.star", "y.x.star", "\\000", "no\\000no", "A.B"];
const foreign = ["example.org", "com", "org", "xexample.com", "."];
const types = [
  1, 1, 1, 28, 28, 65, 16, 15, 2, 6, 5, 12, 43, 46, 48, 64, 99, 127, 128, 251, 252, 255, 41, 0, 666, 65_535,
];

/** Whole numbers below `n`, evenly. */
export type Below = (n: number) => number;

/** Numbers that a seed fixes (numerical recipes' generator, its high bits). */
export function numbers(seed: number): Below {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0) * (n / 2 ** 32));
  };
}

/** The wire form of a name in presentation form, in whatever case. */
function wireOf(name: string): number[] {
  const out: number[] = [];
  for (const label of name === "." ? [] : name.replace(/\.$/, "").split(".")) {
    const octets: number[] = [];
    for (const [, digits, letter] of label.matchAll(/\\(\d{3})|([\s\S])/g))
      octets.push(digits === undefined ? letter!.charCodeAt(0) : Number(digits));
    out.push(octets.length, ...octets);
  }
  return [...out, 0];
}

/** 0x20: each letter in either case. */
const mixed = (octets: number[], below: Below): number[] =>
  octets.map((o) => ((o | 32) >= 97 && (o | 32) <= 122 && o > 64 && below(2) === 0 ? o ^ 32 : o));

const networks = [
  [198, 51, 100, 77],
  [203, 0, 113, 9],
  [10, 1, 2, 3],
  [0x20, 1, 0x0d, 0xb8, 0, 0xe],
  [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 1],
];

/** Data of a client subnet option (RFC 7871 6), most of them good. */
function subnetOf(below: Below): number[] {
  const address = networks[below(networks.length)]!;
  const six = address.length > 4;
  const source = [0, 24, 32, 25, 9, 48, 56, 128, 129][below(9)]! - below(2);
  const octets = Math.ceil(Math.max(0, source) / 8);
  const data = Array.from({ length: octets }, (_, i) => address[i] ?? 0);
  const stray = source & 7;
  if (stray !== 0 && octets > 0 && below(8) > 0) data[octets - 1]! &= 0xff00 >> stray;
  return [0, six && below(9) > 0 ? 2 : below(9) > 0 ? 1 : 0, source & 255, below(20) === 0 ? 24 : 0, ...data];
}

function optOf(below: Below): number[] {
  const options: number[] = [];
  for (let i = below(3) === 0 ? 1 + below(2) : below(20) === 0 ? 5 : 0; i > 0; i--) {
    const code = [3, 8, 10, 12, 65_001][below(5)]!;
    const data =
      code === 10 ? Array.from({ length: [8, 24, 7][below(3)]! }, () => below(256)) : code === 8 ? subnetOf(below) : [];
    options.push(code >> 8, code & 255, 0, data.length, ...data);
  }
  const size = [0, 512, 600, 1232, 4096, 65_535][below(6)]!;
  const version = below(40) === 0 ? 1 : 0;
  const flags = below(3) === 0 ? 0x80 : below(20) === 0 ? 1 : 0;
  return [0, 0, 41, size >> 8, size & 255, 0, version, flags, 0, options.length >> 8, options.length & 255, ...options];
}

/** A query that somebody might send, and how it travels; some are damaged. `below` decides all. */
export function someQuery(below: Below): { message: Uint8Array; way: Way } {
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const kind = below(10);
  const name = kind < 6 ? pick(known) : kind < 9 ? `${pick(missing)}.${pick(known.slice(0, -2))}` : pick(foreign);
  let octets = wireOf(name.replace(/\.\.$/, "."));
  if (octets.length > 255) octets = wireOf(pick(missing));
  if (below(3) === 0) octets = mixed(octets, below);
  // What services are asked for, most of the time.
  const type = below(2) === 0 ? pick([1, 28]) : pick(types);
  const edns = below(3) > 0 ? optOf(below) : [];
  const flags = pick([0x0100, 0x0100, 0x0000, 0x0110, 0x0120, 0x0300, 0x0480, 0x8100, 0x2800]);
  const head = [below(256), below(256), flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, edns.length > 0 ? 1 : 0];
  const classOf = below(50) === 0 ? 3 : 1;
  let message = Uint8Array.from([...head, ...octets, type >> 8, type & 255, 0, classOf, ...edns]);
  if (below(8) === 0) {
    const at = below(message.length);
    if (below(2) === 0) message[at] = below(256);
    else message = message.slice(0, below(2) === 0 ? at : message.length);
    if (below(4) === 0) message = Uint8Array.from([...message, below(256)]);
  }
  const way: Way = { ipv6: below(2) === 0 };
  if (below(4) === 0) way.tag = below(4096);
  return { message, way };
}
