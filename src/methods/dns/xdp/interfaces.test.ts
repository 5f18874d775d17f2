import { expect, test } from "bun:test";
import type { HostFacts } from "../../../core/method.ts";
import type { Device } from "../../../dataplane/routes.ts";
import { arrivalsFor, heldOf } from "./interfaces.ts";

const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);
const device = (index: number, more: object = {}): Device =>
  ({ index, mac: mac(index), parent: null, vlan: 0, kind: null, ...more }) as Device;
const links = new Map([
  ["eth0", device(2)],
  ["eth0.7", device(3, { parent: "eth0", vlan: 7, kind: "vlan" })],
  ["eth0.8", device(4, { parent: "eth0", vlan: 8, kind: "vlan" })],
  ["eth1", device(5, { kind: "veth" })],
]);
const facts = (holders: Record<string, string>): HostFacts => ({
  instance: "main",
  deviceOf: (a: string) => holders[a] ?? null,
  route: () => ({ device: "eth1", source: "192.0.2.9", via: null }),
});

test("frames are looked for on the interface below, in the VLAN of the address; the first VLAN's alone", () => {
  const holders = { "10.7.0.1": "eth0.7", "10.8.0.1": "eth0.8", "10.9.0.1": "lo" };
  const found = arrivalsFor(Object.keys(holders), facts(holders), links);
  expect(found).toEqual([
    { carrier: "eth0", index: 2, mac: mac(3), vlan: 7, veth: false },
    // Held by loopback: it comes by the default route.
    { carrier: "eth1", index: 5, mac: mac(5), vlan: 0, veth: true },
  ]);
  expect(arrivalsFor(["127.0.0.1", "::1"], facts(holders), links)).toEqual([]);
});

test("an address that the kernel does not take packets to is not answered for", () => {
  const route = (address: string) => ({ device: address === "10.7.0.1" ? "lo" : "eth1", source: "", via: null });
  const listen = [{ address: "10.7.0.1" }, { address: "10.7.0.2" }];
  expect(heldOf(listen, { ...facts({ "10.7.0.2": "eth0" }), route })).toEqual([{ address: "10.7.0.1" }]);
});
