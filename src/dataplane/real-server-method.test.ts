import { describe, expect, test } from "bun:test";
import type { Service } from "../core/service.ts";
import { type PlaneOptions, planeOptions } from "./plane-options.ts";
import { realServerMethod } from "./real-server-method.ts";

const VIP = { address: "125.12.12.77", port: 80, protocol: "tcp" as const };
const backend = (address: string, port: number | null = null) => ({
  address,
  port,
  weight: 1,
  tier: 0,
  tags: [],
  admin: "ready" as const,
});
const method = realServerMethod({ name: "direct", summary: "", layer: 2 });
const judge = (of: Service<PlaneOptions>) => method.judge(of);
const service = (more: Partial<Service<PlaneOptions>>): Service<PlaneOptions> => ({
  name: "web",
  method: "direct",
  listen: [VIP],
  names: [],
  scheduler: { name: "maglev", options: {} },
  backends: [backend("125.12.12.20")],
  check: null,
  nearest: false,
  options: planeOptions.parse({}),
  ...more,
});
const paths = (more: Partial<Service<PlaneOptions>>) => judge(service(more)).map(({ path }) => path.join("."));

const facts = { number: 1, seed: 9, geography: { places: {} } };

describe("a method of prepared real servers", () => {
  test("takes a VIP and real servers on its port", () => {
    expect(judge(service({}))).toEqual([]);
    expect(judge(service({ backends: [backend("125.12.12.20", 80)] }))).toEqual([]);
  });

  test("refuses to translate a port", () => {
    expect(paths({ backends: [backend("125.12.12.20", 8080)] })).toEqual(["backends.0.port"]);
    const two = [VIP, { ...VIP, port: 443 }];
    expect(paths({ listen: two, backends: [backend("125.12.12.20", 80)] })).toEqual(["backends.0.port"]);
  });

  test("takes both families, refuses what is not a VIP, and the VIP as a backend", () => {
    expect(paths({ listen: [{ ...VIP, address: "0.0.0.0" }] })).toEqual(["listen.0"]);
    expect(paths({ listen: [{ ...VIP, address: "::" }] })).toEqual(["listen.0"]);
    expect(paths({ listen: [{ ...VIP, address: "2001:db8::1" }] })).toEqual([]);
    expect(paths({ backends: [backend("2001:db8::2")] })).toEqual([]);
    expect(paths({ backends: [backend(VIP.address)] })).toEqual(["backends.0.address"]);
  });

  test("compiles configuration and snapshot into what the plane takes", () => {
    const one = {
      id: 3,
      address: "125.12.12.20",
      port: null,
      weight: 2,
      state: "up" as const,
      tier: 0,
      tags: [],
      load: null,
    };
    const snapshot = { service: "web", revision: 1, generation: 4, backends: [one], eligible: [3] };
    expect(method.compile(service({}), snapshot, facts)).toEqual({
      name: "web",
      seed: 9,
      vips: [VIP],
      backends: [one],
      eligible: [3],
      scheduler: { name: "maglev", options: {} },
      idle: { tcp: 900_000, udp: 60_000 },
      oneShot: false,
      checked: false,
      devices: [],
    });
  });

  test("names what it would change on a host", () => {
    const snapshot = { service: "web", revision: 1, generation: 1, backends: [], eligible: [] };
    const compiled = method.compile(service({}), snapshot, facts);
    const host = { instance: "main", route: () => null, deviceOf: () => "eth0" };
    expect(method.changes!([compiled], host)).toEqual([
      { kind: "bpf-pins", path: "/sys/fs/bpf/sluice/main" },
      { kind: "xdp", device: "eth0", pin: "/sys/fs/bpf/sluice/main/links/eth0" },
      { kind: "address", address: VIP.address, prefix: 32, device: "eth0", announce: true },
    ]);
  });
});
