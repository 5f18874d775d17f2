/** The client subnet (RFC 7871) among the rules of the checklist. */
import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checked } from "./checklist-testing.ts";
import { aBackend, aServer, aService, aSnapshot, withOption, withOptions } from "./testing.ts";

/** A server that does not listen to client subnets. */
const deaf = aServer([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])], {});
/** One that goes by the client subnet. */
const steered = aServer(
  [aService("shop", { nearest: true }), aService("plain")],
  [
    aSnapshot("shop", [aBackend(0, "192.0.2.1", { tags: ["eu"] }), aBackend(1, "192.0.2.2")]),
    aSnapshot("plain", [aBackend(0, "192.0.2.1")]),
  ],
  { clientSubnet: true, places: { eu: { networks: ["198.51.100.0/24"] } } },
);
/** One whose clients in one place have no IPv6. */
const fourEast = aBackend(0, "192.0.2.1", { tags: ["eu"] });
const lackingServer = (more: object) =>
  aServer(
    [aService("shop", { nearest: true })],
    [aSnapshot("shop", [fourEast, aBackend(1, "192.0.2.2"), aBackend(2, "2001:db8::2")])],
    { clientSubnet: true, places: { eu: { networks: ["198.51.100.0/24"] } }, ...more },
  );
const lacking = lackingServer({});
/** Family, source, scope, address. */
const subnetOf = (bytes: Buffer): number[] => [...bytes.subarray(bytes.lastIndexOf(Buffer.from([0, 8, 0])) + 4)];

checked({
  "edns.ecs": () => {
    const near = steered.raw(withOption(8, [0, 1, 24, 0, 198, 51, 100]));
    expect([near[7], subnetOf(near)]).toEqual([1, [0, 1, 24, 24, 198, 51, 100]]);
    const far = steered.raw(withOption(8, [0, 1, 24, 0, 203, 0, 113]));
    expect([far[7], subnetOf(far)]).toEqual([2, [0, 1, 24, 5, 203, 0, 113]]);
  },
  "edns.ecs.zero": () => {
    const subnet = [0, 1, 24, 0, 198, 51, 100];
    for (const name of ["plain.example.com", "nobody.example.com"])
      expect(subnetOf(steered.raw(withOption(8, subnet, { name })))).toEqual(subnet);
    expect(subnetOf(steered.raw(withOption(8, subnet, { type: "MX" })))).toEqual(subnet);
  },
  "edns.ecs.lacking": () => {
    const scopeOf = (server: typeof lacking, type: string, network: number[], dnssecOk: boolean): string => {
      const bytes = server.raw(withOption(8, [0, 1, 24, 0, ...network], { type, dnssecOk }));
      return `${bytes[7]! > 0 ? "addresses" : "none"} ${subnetOf(bytes)[3]}`;
    };
    const keys = mkdtempSync(join(tmpdir(), "sluice-scope-keys-"));
    const signed = lackingServer({ dnssec: { keys } });
    for (const [server, dnssecOk] of [
      [lacking, false],
      [signed, false],
      [signed, true],
    ] as const) {
      const of = (type: string) => [
        scopeOf(server, type, [198, 51, 100], dnssecOk),
        scopeOf(server, type, [203, 0, 113], dnssecOk),
      ];
      expect([...of("A"), ...of("AAAA"), ...of("MX")]).toEqual([
        "addresses 24",
        "addresses 5",
        "none 24",
        "addresses 5",
        "none 0",
        "none 0",
      ]);
    }
    lacking.change(aSnapshot("shop", [fourEast], 2));
    expect(scopeOf(lacking, "AAAA", [198, 51, 100], false)).toBe("none 0");
    rmSync(keys, { recursive: true });
  },
  "edns.ecs.form": () => {
    for (const data of [
      [0, 3, 24, 0, 1, 2, 3],
      [0, 3, 0, 0],
      [0, 1, 24, 0, 1, 2],
      [0, 1, 33, 0, 1, 2, 3, 4, 5],
      [0, 1, 40, 0, 1, 2, 3, 4, 5],
      [0, 1, 24, 8, 1, 2, 3],
      [0, 1, 20, 0, 1, 2, 255],
      [0, 1],
      [],
    ])
      expect(steered.raw(withOption(8, data))[3]! & 15).toBe(1);
    const twice = withOptions([
      [8, [0, 1, 24, 0, 1, 2, 3]],
      [8, [0, 1, 24, 0, 198, 51, 100]],
    ]);
    expect([steered.raw(twice)[3]! & 15, deaf.raw(twice)[3]! & 15]).toEqual([1, 0]);
    expect(subnetOf(steered.raw(withOption(8, [0, 1, 0, 0])))).toEqual([0, 1, 0, 0]);
  },
});
