import { expect, test } from "bun:test";
import type { BackendConfig, Listener, Service } from "../../core/service.ts";
import { compile } from "./compile.ts";
import { engineOf } from "./engine-of.ts";
import { judge, judgeTogether } from "./judge.ts";
import { type NatOptions, options } from "./options.ts";

const backend = (address: string, port: number | null = 8000): BackendConfig => ({
  address,
  port,
  weight: 1,
  tier: 0,
  tags: [],
  admin: "ready",
});

const service = (name: string, nat: unknown, more: Partial<Service<NatOptions>> = {}): Service<NatOptions> => ({
  name,
  method: "nat",
  listen: [{ address: "125.12.12.12", port: 80, protocol: "tcp" }],
  names: [],
  scheduler: { name: "maglev", options: {} },
  backends: [backend("10.0.1.210"), backend("10.0.1.211")],
  check: null,
  nearest: false,
  options: options.parse(nat),
  ...more,
});

const at = (problems: readonly { code: string; path: readonly (string | number)[] }[]): string[] =>
  problems.map(({ code, path }) => `${code} ${path.join(".")}`);

test("what nat can do is no problem", () => {
  expect(judge(service("web", {}))).toEqual([]);
  expect(judge(service("ftp", { engine: "nftables", helper: "ftp", masquerade: true }))).toEqual([]);
});

test("only nftables has helpers, masquerade and hairpin: xdp refuses each by its name", () => {
  const problems = judge(service("ftp", { engine: "xdp", helper: "ftp", masquerade: true, hairpin: true }));
  expect(at(problems)).toEqual([
    "SLUICE_CONFIG_IMPOSSIBLE nat.helper",
    "SLUICE_CONFIG_IMPOSSIBLE nat.masquerade",
    "SLUICE_CONFIG_IMPOSSIBLE nat.hairpin",
  ]);
  for (const [i, name] of ["helper", "masquerade", "hairpin"].entries())
    expect(problems[i]!.message).toMatch(new RegExp(`${name}.*which the xdp engine cannot`));
});

test("a helper, masquerade or hairpin under auto means nftables", () => {
  const snapshot = { service: "ftp", revision: 1, generation: 1, backends: [], eligible: [] };
  const engine = (nat: unknown): string =>
    compile(service("ftp", nat), snapshot, { number: 1, seed: 1, geography: { places: {} } }).engine;
  const given = [{}, { helper: "ftp" }, { masquerade: true }, { hairpin: true }, { engine: "xdp" }];
  expect(given.map(engine)).toEqual(["auto", "nftables", "nftables", "nftables", "xdp"]);
});

test("a wildcard VIP, FTP over UDP and mixed families are impossible, each at its place", () => {
  const listen: Listener[] = [
    { address: "0.0.0.0", port: 80, protocol: "tcp" },
    { address: "125.12.12.12", port: 21, protocol: "udp" },
    { address: "2001:db8::1", port: 80, protocol: "tcp" },
  ];
  const backends = [backend("10.0.1.210"), backend("2001:db8::2")];
  expect(at(judge(service("odd", { helper: "ftp" }, { listen, backends })))).toEqual([
    "SLUICE_CONFIG_IMPOSSIBLE listen.0",
    "SLUICE_CONFIG_IMPOSSIBLE listen.1",
    "SLUICE_CONFIG_IMPOSSIBLE listen.2",
    "SLUICE_CONFIG_IMPOSSIBLE backends.1",
  ]);
});

test("two services that share a backend's address and port cannot both be on xdp", () => {
  const listen: Listener[] = [{ address: "125.12.12.13", port: 80, protocol: "tcp" }];
  const one = service("one", {});
  const two = service("two", { engine: "xdp" }, { listen });
  const problems = judgeTogether([one, two]);
  expect(at(problems)).toEqual(["SLUICE_CONFIG_CONFLICT two.backends.0", "SLUICE_CONFIG_CONFLICT two.backends.1"]);
  expect(problems[0]!.message).toContain('"one" and "two"');
  // The data plane sees the answers of the other engine too, unless they go to the director.
  const beside = judgeTogether([one, service("two", { engine: "nftables" }, { listen })]);
  expect(at(beside)).toEqual(["SLUICE_CONFIG_CONFLICT two.backends.0", "SLUICE_CONFIG_CONFLICT two.backends.1"]);
  expect(judgeTogether([one, service("two", { masquerade: true }, { listen })])).toEqual([]);
  const both = [service("one", { engine: "nftables" }), service("two", { engine: "nftables" }, { listen })];
  expect(judgeTogether(both)).toEqual([]);
  const udp = [{ ...listen[0]!, protocol: "udp" as const }];
  expect(judgeTogether([one, service("two", {}, { listen: udp })])).toEqual([]);
});

test("what only nftables can do is refused of xdp, and decides auto", () => {
  const listen: Listener[] = [
    { address: "125.12.12.12", port: 80, protocol: "tcp" },
    { address: "125.12.12.12", port: 8080, protocol: "tcp" },
  ];
  const bare = [backend("10.0.1.210", null)];
  expect(at(judge(service("web", { engine: "xdp" }, { listen })))).toEqual(["SLUICE_CONFIG_IMPOSSIBLE listen.1"]);
  // A backend without a port answers from the one that was asked: no two are alike, unless two VIPs have one port.
  expect(judge(service("web", { engine: "xdp" }, { listen, backends: bare }))).toEqual([]);
  const twoVips: Listener[] = [listen[0]!, { ...listen[0]!, address: "125.12.12.13" }];
  expect(at(judge(service("web", { engine: "xdp" }, { listen: twoVips, backends: bare })))).toEqual([
    "SLUICE_CONFIG_IMPOSSIBLE listen.1",
  ]);
  expect(judge(service("web", {}, { listen }))).toEqual([]);
  expect(engineOf(service("web", {}, { listen }))).toBe("nftables");
  const v6 = {
    listen: [{ address: "2001:db8::1", port: 80, protocol: "tcp" as const }],
    backends: [backend("2001:db8::2")],
  };
  expect(at(judge(service("web", { engine: "xdp" }, v6)))).toEqual([]);
  expect(engineOf(service("web", {}, v6))).toBe("auto");
  const both: Listener[] = [listen[0]!, { ...listen[0]!, protocol: "udp" }];
  expect(engineOf(service("dns", {}, { listen: both, backends: bare }))).toBe("auto");
});

test("a range of ports on xdp is for backends without a port, and its answers must have one service", () => {
  const range: Listener = { address: "125.12.12.12", port: 8000, last: 8100, protocol: "tcp" };
  const bare = [backend("10.0.1.210", null)];
  const of = (name: string, listen: Listener[], given: Partial<NatOptions> = {}, backends = bare) =>
    service(name, given, { listen, backends });
  expect(judge(of("web", [range]))).toEqual([]);
  expect(engineOf(of("web", [range]))).toBe("auto");
  expect(judge(of("web", [range], { engine: "nftables" }))).toEqual([]);
  const fixed = of("web", [range], { engine: "xdp" }, [backend("10.0.1.210")]);
  expect(at(judge(fixed))).toEqual(["SLUICE_CONFIG_IMPOSSIBLE listen.0"]);
  expect(engineOf(of("web", [range], {}, [backend("10.0.1.210")]))).toBe("nftables");
  const single = { ...range, port: 8080, last: undefined } as unknown as Listener;
  expect(judgeTogether([of("web", [range]), of("one", [single])])).toEqual([]);
  const elsewhere = { ...single, address: "125.12.12.13" };
  expect(at(judgeTogether([of("web", [range]), of("one", [elsewhere])]))).toEqual([
    "SLUICE_CONFIG_CONFLICT one.backends.0",
  ]);
  const many = Array.from({ length: 17 }, (_, i) => ({ ...range, port: 1000 + 10 * i, last: 1005 + 10 * i }));
  expect(at(judgeTogether([of("web", many)]))).toEqual(["SLUICE_CONFIG_IMPOSSIBLE web.backends.0"]);
  expect(judgeTogether([of("web", many, { engine: "nftables" })])).toEqual([]);
});
