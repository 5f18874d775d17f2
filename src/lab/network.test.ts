import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { checkTopology, hostCommands } from "./network.ts";
import { projectDir } from "./paths.ts";
import { topologies } from "./topologies/index.ts";
import { addressOf, hostMac, hostOf, macOf } from "./topology.ts";

test("every topology is sound: names fit, networks and configurations exist, no address stands twice", () => {
  for (const topology of topologies) {
    expect(checkTopology(topology)).toEqual([]);
    const addresses = topology.hosts.flatMap((h) => h.interfaces.flatMap((i) => i.addresses));
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const { director } of topology.hosts)
      if (director)
        expect([director.config, existsSync(resolve(projectDir, director.config))]).toEqual([director.config, true]);
    for (const { host } of topology.tries) expect(hostOf(topology, host).name).toBe(host);
  }
});

test("the article's NAT plan, address for address", () => {
  const nat = topologies.find((t) => t.name === "nat")!;
  expect(addressOf(nat, "client")).toBe("202.20.20.20");
  expect([addressOf(nat, "director"), addressOf(nat, "director", 1)]).toEqual(["125.12.12.12", "10.0.1.50"]);
  expect(hostOf(nat, "backend1").gateway).toBe("10.0.1.50");
  expect(hostCommands(nat, hostOf(nat, "backend2"))).toContain("address add 10.0.1.211/24 dev eth0 brd +");
  expect(hostMac(nat, "backend2")).toBe("02:00:0a:00:01:d3");
});

test("the article's table for direct routing", () => {
  const direct = topologies.find((t) => t.name === "direct")!;
  expect(["director", "real1", "real2"].map((h) => addressOf(direct, h))).toEqual([
    "125.12.12.12",
    "125.12.12.20",
    "125.12.12.21",
  ]);
  expect(hostOf(direct, "router").interfaces[1]?.addresses).toEqual(["125.12.12.1/24"]);
  expect(hostOf(direct, "real1")).toMatchObject({ gateway: "125.12.12.1", realServer: { vips: ["125.12.12.77"] } });
});

test("what cannot be a topology is named", () => {
  const host = { name: "a-very-long-name", role: "client", interfaces: [{ network: "gone", addresses: [] }] } as const;
  const wrong = checkTopology({ name: "x", summary: "", networks: [], hosts: [host, host], tries: [] });
  expect(wrong.join("\n")).toMatch(/too long[\s\S]*no network[\s\S]*two hosts/);
});

test("a MAC shows the address", () => expect(macOf("125.12.12.77/32")).toBe("02:00:7d:0c:0c:4d"));
