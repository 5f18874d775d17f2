import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectTcp } from "../runtime/dial.ts";
import { listenTcp, type TcpListener } from "../runtime/tcp.ts";
import { createTestNetns, eventually, netnsMissing, type TestNetns, wire } from "./netns-testing.ts";
import { advisedMss, createRealServer, type Decap, IPIP_DEVICE } from "./realserver.ts";
import { realServerStatus } from "./realserver-status.ts";

test("MSS advice: what a link of 1,500 bytes or less holds beside two IPv4 headers and one of TCP", () => {
  expect([advisedMss(1500), advisedMss(1400), advisedMss(1600), advisedMss(9000)]).toEqual([1440, 1340, null, null]);
});

test("of IPv6: beside two IPv6 headers and one of TCP", () => {
  expect([advisedMss(1500, 6), advisedMss(1600, 6), advisedMss(1500, 6, 44)]).toEqual([1400, null, 1396]);
});

const missing = netnsMissing();
if (missing) console.warn(`real server: skipped, ${missing}`);

describe.skipIf(missing !== null)("a host as real server", () => {
  const vip = "125.12.12.77";
  let asker: TestNetns;
  let host: TestNetns;
  let dir: string;
  let listener: TcpListener;
  let bpfDir: string;
  let attached: string[];
  let count = 0;

  beforeAll(async () => {
    asker = createTestNetns("asker");
    host = createTestNetns("host");
    wire(asker, "eth0", "125.12.12.1/24", host, "eth0", "125.12.12.20/24");
    host.sh("ip route add default via 125.12.12.1; ip route add 10.7.0.0/16 via 125.12.12.1 metric 7");
    listener = await host.within(() => listenTcp("0.0.0.0", 8080, { data() {} }, () => null));
    dir = mkdtempSync(join(tmpdir(), "sluice-real-"));
  });
  beforeEach(() => {
    bpfDir = join(dir, `pins-${count++}`);
    attached = [];
  });
  afterAll(() => {
    listener?.stop();
    asker?.remove();
    host?.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Stands for the data plane's program: pins a file. */
  const decap = (): Decap => ({
    async attach(device, vips, directors) {
      attached.push([device, vips, ...directors].join(" "));
      mkdirSync(bpfDir, { recursive: true });
      writeFileSync(join(bpfDir, "link"), device);
      return { describe: () => `a program on ${device}` };
    },
    async detach() {
      rmSync(bpfDir, { recursive: true, force: true });
    },
  });
  const server = () => createRealServer({ runDir: join(dir, `run-${count}`), bpfDir, decap: decap() });
  /** Without the device that the kernel's ipip makes for itself when it is first used. */
  const picture = (): string =>
    host.sh(
      "ip -4 -o address; ip route; sysctl net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce net.ipv4.conf.all.rp_filter; ip -br link | grep -cv tunl0",
    );
  const wrong = async (method: "direct" | "tunnel"): Promise<string[]> =>
    (await realServerStatus({ method, vips: [vip], device: null }, bpfDir)).filter((i) => !i.good).map((i) => i.item);

  /** Tries to connect; true when somebody accepts. Asks by ARP on the way, if need be. */
  const reaches = (from: TestNetns, address: string, source?: string): Promise<boolean> =>
    from.within(
      () =>
        new Promise((resolve) => {
          const bound = source ? { source: { address: source, port: 0 } } : {};
          connectTcp(
            { address, port: 8080, timeout: 700, data: null, ...bound },
            {
              open(socket) {
                socket.terminate();
                resolve(true);
              },
              data() {},
              failed: () => resolve(false),
            },
          );
        }),
    );
  const answered = async (): Promise<boolean> => {
    asker.sh("ip neigh flush all");
    await reaches(asker, vip);
    return asker.sh(`ip neigh show ${vip}`).includes("lladdr");
  };

  test("an unprepared host that holds the VIP answers ARP for it; a prepared one is silent and can still use it", async () => {
    await host.within(async () => {
      host.sh(`ip address add ${vip}/32 dev lo`);
      expect(await answered()).toBe(true);
      host.sh(`ip address del ${vip}/32 dev lo`);
      const before = picture();
      expect(await wrong("direct")).toEqual(["vip", "arp_ignore", "arp_announce"]);
      const real = server();
      await real.up({ method: "direct", vips: [vip], device: null });
      expect(await wrong("direct")).toEqual([]);
      expect(await answered()).toBe(false);
      // By its link address alone it is reached, as directors do: the static entry stands for their rewriting.
      const mac = JSON.parse(host.sh("ip -json link show eth0"))[0].address;
      asker.sh(`ip neigh replace ${vip} lladdr ${mac} dev eth0 nud permanent`);
      expect(await reaches(asker, vip)).toBe(true);
      asker.sh(`ip neigh del ${vip} dev eth0`);
      await real.up({ method: "direct", vips: [vip], device: null });
      await real.down();
      expect(picture()).toBe(before);
      expect(real.state()).toEqual({});
    });
  });

  test("it never asks by ARP with the VIP as sender", async () => {
    await host.within(async () => {
      const real = server();
      await real.up({ method: "direct", vips: [vip], device: null });
      host.sh("ip neigh flush all");
      const tcpdump = Bun.spawn(asker.enter("tcpdump", "-i", "eth0", "-nn", "-l", "arp"), {
        stdout: "pipe",
        stderr: "pipe",
      });
      await tcpdump.stderr.getReader().read();
      await reaches(host, "125.12.12.99", vip);
      await Bun.sleep(200);
      tcpdump.kill();
      const heard = await new Response(tcpdump.stdout).text();
      expect(heard).toContain("who-has 125.12.12.99 tell 125.12.12.20");
      expect(heard).not.toContain(`tell ${vip}`);
      await real.down();
    });
  });

  test("tunnel: unwraps, advises an MSS on every route, and goes without a trace", async () => {
    await host.within(async () => {
      const before = picture();
      expect(await wrong("tunnel")).toEqual(["vip", "arp_ignore", "arp_announce", "decap", "advmss"]);
      const real = server();
      const said = await real.up({ method: "tunnel", vips: [vip], device: null });
      expect(said.join("\n")).toMatch(/unwrapped by|a program on/);
      expect(await wrong("tunnel")).toEqual([]);
      const byKernel = host.sh("ip -br link").includes(IPIP_DEVICE);
      if (!byKernel) expect(attached).toEqual([`eth0 ${vip}`]);
      const routes = host.sh("ip route").trim().split("\n");
      expect(routes.every((line) => line.includes("advmss 1440"))).toBe(true);
      expect(routes).toHaveLength(3);
      await real.up({ method: "tunnel", vips: [vip], device: null });
      await real.down();
      expect(picture()).toBe(before);
      expect(existsSync(bpfDir)).toBe(false);
    });
  });

  test("tunnel from named directors: our program unwraps, and segments leave room for names", async () => {
    await host.within(async () => {
      const before = picture();
      const real = server();
      await real.up({ method: "tunnel", vips: [vip], device: null });
      attached = [];
      await real.up({ method: "tunnel", vips: [vip], device: null, directors: ["125.12.12.12"] });
      expect(host.sh("ip -br link")).not.toContain(IPIP_DEVICE);
      // Said once more without them they stay.
      await real.up({ method: "tunnel", vips: [vip], device: null });
      expect(attached).toEqual([`eth0 ${vip} 125.12.12.12`, `eth0 ${vip} 125.12.12.12`]);
      const request = { method: "tunnel" as const, vips: [vip], device: null, directors: ["125.12.12.12"] };
      expect((await realServerStatus(request, bpfDir)).filter(({ good }) => !good)).toEqual([]);
      const routes = host.sh("ip route").trim().split("\n");
      expect(routes.every((line) => line.includes(`advmss ${1500 - 44 - 40}`))).toBe(true);
      expect(routes).toHaveLength(3);
      await real.down();
      expect(picture()).toBe(before);
    });
  });

  test("MSS advice on a route by an IPv6 gateway; one by several gateways is left alone, and its command is told", async () => {
    await host.within(async () => {
      host.sh("ip route add 10.8.0.0/16 via inet6 fe80::1 dev eth0");
      host.sh("ip route add 10.9.0.0/16 nexthop via 125.12.12.1 dev eth0 nexthop via 125.12.12.2 dev eth0 weight 3");
      const before = picture();
      const real = server();
      const said = await real.up({ method: "tunnel", vips: [vip], device: null });
      expect(host.sh("ip route show 10.8.0.0/16")).toContain("via inet6 fe80::1 dev eth0 advmss 1440");
      const [, command] = /not ours to make anew: (ip .*)$/m.exec(said.join("\n")) ?? [];
      expect(await wrong("tunnel")).toEqual(["advmss"]);
      host.sh(command!);
      expect(host.sh("ip -o route show 10.9.0.0/16")).toMatch(
        /advmss 1440.*125.12.12.1.*weight 1.*125.12.12.2.*weight 3/,
      );
      expect(await wrong("tunnel")).toEqual([]);
      host.sh(command!.replace("advmss 1440 ", ""));
      await real.up({ method: "tunnel", vips: [vip], device: null });
      await real.down();
      expect(picture()).toBe(before);
      host.sh("ip route del 10.8.0.0/16; ip route del 10.9.0.0/16");
    });
  });

  /** Connects, and says what segments the host takes: MSS of its SYN-ACK. */
  const mssOffered = async (address: string): Promise<number> => {
    const tcpdump = Bun.spawn(
      asker.enter("tcpdump", "-i", "eth0", "-nn", "-l", "-v", "-c", "1", "ip6[53] & 0x12 = 0x12 and src port 8080"),
      { stdout: "pipe", stderr: "pipe" },
    );
    await tcpdump.stderr.getReader().read();
    expect(await reaches(asker, address)).toBe(true);
    return Number(/mss (\d+)/.exec(await new Response(tcpdump.stdout).text())?.[1]);
  };

  test("MSS advice on IPv6 routes, which the kernel heeds; one that a router has told of is left to the administrator", async () => {
    await host.within(async () => {
      const other = "2001:db8:12::77";
      host.sh(`ip address add ${other}/128 dev lo nodad`);
      const listening = listenTcp(other, 8080, { data() {} }, () => null);
      host.sh(
        "ip address add 2001:db8:12::20/64 dev eth0 nodad; ip -6 route add default via 2001:db8:12::1 metric 300",
      );
      host.sh("ip -6 route add 2001:db8:9::/48 via 2001:db8:12::1 metric 1024 proto ra expires 1000");
      asker.sh("ip address add 2001:db8:12::1/64 dev eth0 nodad");
      asker.sh(`ip -6 route add ${other} via 2001:db8:12::20`);
      await eventually(() => !host.sh("ip -6 address; ip -6 route").includes("tentative"));
      const routes = (): string => host.sh("ip -6 route").replaceAll(/ expires \d+sec/g, "");
      const before = routes();
      const status = async () =>
        (await realServerStatus({ method: "tunnel", vips: [other], device: null }, bpfDir)).filter((i) => !i.good);
      const real = server();
      expect(await mssOffered(other)).toBe(1440);
      const said = await real.up({ method: "tunnel", vips: [other], device: null });
      expect(await mssOffered(other)).toBe(1400);
      expect(host.sh("ip -6 route show default")).toContain("via 2001:db8:12::1 dev eth0 metric 300 advmss 1400");
      expect(host.sh("ip route")).not.toContain("advmss");
      const [, command] = /not ours to make anew: (ip .*)$/m.exec(said.join("\n")) ?? [];
      expect(command).toStartWith("ip -6 route add 2001:db8:9::/48 via 2001:db8:12::1 dev eth0 metric 512 advmss 1400");
      expect((await status()).map(({ item, fix }) => [item, fix])).toEqual([["advmss", command!]]);
      host.sh(command!);
      host.sh("ip -6 route change default via 2001:db8:12::1 dev eth0 metric 300");
      for (const { fix } of await status()) host.sh(fix!);
      expect(await status()).toEqual([]);
      host.sh(command!.replace(" add ", " del "));
      await real.down();
      expect(routes()).toBe(before);
      listening.stop();
      host.sh(`ip -6 route del default; ip -6 route del 2001:db8:9::/48; ip address del ${other}/128 dev lo`);
      host.sh("ip address del 2001:db8:12::20/64 dev eth0");
    });
  });

  test("a route that somebody has made anew since is left as he made it", async () => {
    await host.within(async () => {
      const real = server();
      await real.up({ method: "tunnel", vips: [vip], device: null });
      host.sh("ip route replace default via 125.12.12.2; ip route del 10.7.0.0/16");
      await real.down();
      expect(host.sh("ip route show default").trim()).toBe("default via 125.12.12.2 dev eth0");
      expect(host.sh("ip route show 10.7.0.0/16")).toBe("");
      host.sh("ip route replace default via 125.12.12.1; ip route add 10.7.0.0/16 via 125.12.12.1 metric 7");
    });
  });

  test("an IPv6 VIP is no source of what the host begins, and its tunnels are for our program", async () => {
    await host.within(async () => {
      const before = picture();
      const real = server();
      await real.up({ method: "tunnel", vips: [vip], device: null });
      await real.up({ method: "tunnel", vips: ["2001:db8:12::77"], device: null });
      expect(host.sh("ip -6 address show dev lo")).toMatch(/2001:db8:12::77\/128 scope global .*deprecated/);
      expect(attached.at(-1)).toBe(`eth0 ${vip},2001:db8:12::77`);
      expect(host.sh("ip -br link")).not.toContain(IPIP_DEVICE);
      const request = { method: "tunnel" as const, vips: [vip, "2001:db8:12::77"], device: null };
      expect((await realServerStatus(request, bpfDir)).filter(({ good }) => !good)).toEqual([]);
      await real.down();
      expect(picture()).toBe(before);
    });
  });

  test("where the kernel unwraps, no other device loses the filter that all of them had", async () => {
    await host.within(async () => {
      const filters = (): string =>
        host.sh("cd /proc/sys/net/ipv4/conf; grep . all/rp_filter default/rp_filter eth0/rp_filter");
      host.sh(
        "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
      );
      const before = filters();
      const real = server();
      await real.up({ method: "tunnel", vips: [vip], device: null });
      const byKernel = host.sh("ip -br link").includes(IPIP_DEVICE);
      expect(filters().match(/\d$/gm)).toEqual(byKernel ? ["0", "1", "1"] : ["1", "0", "0"]);
      await real.down();
      expect(filters()).toBe(before);
      host.sh("sysctl -qw net.ipv4.conf.all.rp_filter=0");
    });
  });

  test("both methods and several VIPs: each goes down by itself", async () => {
    await host.within(async () => {
      const before = picture();
      const other = "125.12.12.78";
      const real = server();
      await real.up({ method: "direct", vips: [vip, other], device: null });
      await real.up({ method: "tunnel", vips: [vip], device: null });
      await real.down({ method: "direct", vips: [other] });
      expect(real.state().direct!.vips).toEqual([vip]);
      await real.down({ method: "direct" });
      expect(host.sh("ip -br address show lo")).toContain(vip);
      expect(await wrong("tunnel")).toEqual([]);
      await real.down();
      expect(picture()).toBe(before);
    });
  });

  test("status names what was broken since, with a command that mends it", async () => {
    await host.within(async () => {
      const real = server();
      await real.up({ method: "tunnel", vips: [vip], device: null });
      host.sh(
        `sysctl -qw net.ipv4.conf.all.arp_ignore=0; ip address del ${vip}/32 dev lo; ip address add ${vip}/32 dev eth0; ip route change default via 125.12.12.1`,
      );
      const items = await realServerStatus({ method: "tunnel", vips: [vip], device: null }, bpfDir);
      const fixes = items.filter((i) => !i.good).map((i) => i.fix!);
      expect(fixes).toHaveLength(3);
      for (const fix of fixes) host.sh(fix);
      expect(await wrong("tunnel")).toEqual(["vip"]);
      host.sh(`ip address add ${vip}/32 dev lo`);
      expect(await wrong("tunnel")).toEqual([]);
      await real.down();
      expect(await eventually(() => !host.sh("ip -br address").includes(vip))).toBe(true);
    });
  });
});
