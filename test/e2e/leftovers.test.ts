/** What `run` sets on a host is what `check --changes` had listed, and `down` takes it all away after any death. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { type HostChange, hostChangeText } from "../../src/core/host-change.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { projectDir, sluiceCommand } from "../../src/lab/paths.ts";
import { processesIn } from "../../src/lab/processes.ts";
import { recordInstance } from "../../src/lab/start.ts";
import { curlMany, eventually, startSluice, tally, withLab } from "../lib/lab.ts";
import { noLab, noXdp } from "../lib/skip.ts";

interface Case {
  topology: string;
  config: string;
  /** Answers at the client once Sluice serves; null: only what it sets is looked at. */
  url: string | null;
  reason: string | null;
}

const example = (name: string): string => readFileSync(`${projectDir}/examples/${name}/sluice.yaml`, "utf8");
const cases: Record<string, Case> = {
  redirect: { topology: "redirect", config: example("redirect"), url: "http://192.30.252.130/", reason: noLab },
  dns: { topology: "dns", config: example("dns"), url: null, reason: noLab },
  proxy: { topology: "proxy", config: example("proxy"), url: "http://125.12.12.12/", reason: noLab },
  "nat on nftables": {
    topology: "nat",
    config: example("nat").replace("    check:", "    nat: { engine: nftables }\n    check:"),
    url: "http://125.12.12.12/",
    reason: noLab,
  },
  "nat on xdp": { topology: "nat", config: example("nat"), url: "http://125.12.12.12/", reason: noXdp },
  direct: { topology: "direct", config: example("direct"), url: "http://125.12.12.77/", reason: noXdp },
  tunnel: { topology: "tunnel", config: example("tunnel"), url: "http://125.12.12.77/", reason: noXdp },
};

/** All that a host's kernel holds of network state, as text. Counters, times and cached neighbours are left out. */
async function hostState(lab: Lab, host: string): Promise<string> {
  const parts = [
    "ip -d link show | grep -v -e 'state ' -e 'RX:' -e 'TX:' | sed 's/xdp id .*/xdp/'; ip -br link | cut -c 1-90",
    "ip -br address; ip rule; ip route show table all",
    // Entries that the kernel learns come and go by themselves; what somebody has set does not.
    "ip neigh show nud permanent; ip neigh show extern_learn; ip -d neigh show | grep -e managed || true",
    "nft list ruleset; ip tunnel show",
    "sysctl -a 2>/dev/null | grep '^net\\.' | grep -v -e '^net.netfilter.nf_conntrack_count' -e 'neigh.sli' -e 'conf.sli'",
    "for d in $(ls /sys/class/net); do ethtool -k $d 2>/dev/null; done",
  ];
  const texts: string[] = [];
  for (const part of parts) texts.push(await lab.shell(host, part));
  return texts.join("\n");
}

/** Runs the command in the director's host. */
const sluice = (lab: Lab, ...args: string[]) => lab.exec("director", [sluiceCommand, ...args]);

/** What the instance has written down as its own. */
function journal(instance: string): string[] {
  const path = `/run/sluice/${instance}/journal.json`;
  if (!existsSync(path)) return [];
  const { entries } = JSON.parse(readFileSync(path, "utf8")) as { entries: { change: HostChange }[] };
  return entries.map(({ change }) => hostChangeText(change)).sort();
}

/** What is held by pins and by a namespace, which no journal needs to name: told from the host itself. */
async function pinned(lab: Lab, instance: string): Promise<string[]> {
  const path = `/sys/fs/bpf/sluice/${instance}`;
  const found: HostChange[] = existsSync(path) ? [{ kind: "bpf-pins", path }] : [];
  const links = JSON.parse(await lab.shell("director", "ip -json -d link show")) as IpLink[];
  for (const { ifname, xdp, link } of links) {
    const pin = `${path}/links/${ifname}`;
    if (ifname.startsWith("slc")) found.push({ kind: "veth", name: ifname, peer: ifname.replace("slc", "sli") });
    else if (xdp && existsSync(pin)) found.push({ kind: "xdp", device: ifname, pin });
    else if (xdp) throw new Error(`a program on ${ifname} that no pin holds (${link})`);
  }
  return found.map(hostChangeText);
}

interface IpLink {
  ifname: string;
  link?: string;
  xdp?: unknown;
}

/** Was the host so before? `sysctl KEY = VALUE`, `address A/P on DEVICE`. */
function stood(text: string, state: string): boolean {
  const sysctl = /^sysctl (\S+) = (\S+)/.exec(text);
  if (sysctl) return state.split("\n").includes(`${sysctl[1]!.replaceAll("/", ".")} = ${sysctl[2]}`);
  const address = /^address (\S+?)\/\d+ on (\S+?),?( announced)?$/.exec(text);
  return address !== null && new RegExp(`^${address[2]}\\b.* ${address[1]}/`, "m").test(state);
}

/** Lines that only one of the two has. */
function difference(before: string, after: string): string[] {
  const [a, b] = [new Set(before.split("\n")), new Set(after.split("\n"))];
  return [
    ...[...a].filter((line) => !b.has(line)).map((line) => `- ${line}`),
    ...[...b].filter((line) => !a.has(line)).map((line) => `+ ${line}`),
  ];
}

for (const [name, { topology, config, url, reason }] of Object.entries(cases))
  test.skipIf(reason !== null)(
    `${name}: sets what check --changes lists; down leaves nothing after kill -9`,
    async () => {
      await withLab(topology, async (lab) => {
        const before = await hostState(lab, "director");
        const file = `${lab.folder}/asked.yaml`;
        await Bun.write(file, config);
        const instance = recordInstance(lab, "director", "director");
        const asked = await sluice(lab, "check", "-c", file, "--changes", "--json", "--instance", instance);
        expect([asked.code, asked.stderr]).toEqual([0, ""]);
        const listed = (JSON.parse(asked.stdout) as { changes: { text: string }[] }).changes.map(({ text }) => text);

        const daemon = await startSluice(lab, "director", config);
        if (url) await eventually("it serves", async () => (await curlMany(lab, url, 1, "-L"))[0]);
        const set = [...journal(instance), ...(await pinned(lab, instance))].sort();
        // What the host had before is listed too, but it is not ours.
        const unchanged = listed.filter((text) => stood(text, before));
        expect(set).toEqual(listed.filter((text) => !unchanged.includes(text)).sort());
        expect(difference(before, await hostState(lab, "director")).length > 0).toBe(set.length > 0);

        daemon.signal("SIGKILL");
        await daemon.gone();
        const down = await sluice(lab, "down", "--instance", instance);
        expect([down.code, down.stderr.includes("is gone from this host")]).toEqual([0, true]);
        const after = await eventually("no process is left", async () =>
          processesIn([lab.namespace("director")]).length === 0 ? hostState(lab, "director") : null,
        );
        expect(difference(before, after)).toEqual([]);
        expect(existsSync(`/run/sluice/${instance}`)).toBe(false);
        expect(existsSync(`/sys/fs/bpf/sluice/${instance}`)).toBe(false);
        const again = await sluice(lab, "down", "--instance", instance);
        expect([again.code, again.stderr.includes("has set nothing here")]).toEqual([0, true]);

        // And by SIGTERM, without `down`.
        const next = await startSluice(lab, "director", config);
        if (url) expect(tally(await curlMany(lab, url, 4, "-L")).lost).toBeUndefined();
        next.signal("SIGTERM");
        expect(await next.gone()).toBe(true);
        expect(difference(before, await hostState(lab, "director"))).toEqual([]);
        expect(existsSync(`/run/sluice/${instance}`)).toBe(false);
        expect(existsSync(`/sys/fs/bpf/sluice/${instance}`)).toBe(false);
      });
    },
  );

test.skipIf(noXdp !== null)("a SIGTERM in the middle of a start leaves nothing either", async () => {
  await withLab("direct", async (lab) => {
    const before = await hostState(lab, "director");
    const file = `${lab.folder}/early.yaml`;
    await Bun.write(file, example("direct"));
    const instance = recordInstance(lab, "director", "director");
    // At once, and once the kernel holds something.
    for (const sign of ["lock", "journal.json"]) {
      const daemon = await lab.spawn("director", [sluiceCommand, "run", "-c", file, "--instance", instance]);
      await eventually(sign, () => existsSync(`/run/sluice/${instance}/${sign}`));
      daemon.signal("SIGTERM");
      expect([sign, await daemon.gone()]).toEqual([sign, true]);
      expect([sign, difference(before, await hostState(lab, "director"))]).toEqual([sign, []]);
      expect(existsSync(`/sys/fs/bpf/sluice/${instance}`)).toBe(false);
    }
  });
});

for (const method of ["direct", "tunnel"] as const)
  test.skipIf(noXdp !== null)(`realserver up of ${method} is idempotent; down undoes exactly that`, async () => {
    const vip = ["--method", method, "--vip", "125.12.12.77"];
    await withLab(
      method,
      async (lab) => {
        const instance = ["--instance", recordInstance(lab, "real1-real", "real1")];
        const real = (verb: string, ...more: string[]) =>
          lab.exec("real1", [sluiceCommand, "realserver", verb, ...vip, ...more, ...instance]);
        const before = await hostState(lab, "real1");
        expect([(await real("status")).code, (await real("up", "--device", "eth0")).code]).toEqual([1, 0]);
        const prepared = await hostState(lab, "real1");
        expect(difference(before, prepared)).not.toEqual([]);
        const again = await real("up", "--device", "eth0");
        expect([again.code, difference(prepared, await hostState(lab, "real1"))]).toEqual([0, []]);
        expect((await real("status")).code).toBe(0);
        // What somebody breaks is named, with what mends it.
        await lab.shell("real1", "sysctl -qw net.ipv4.conf.all.arp_ignore=0");
        const broken = await real("status");
        expect([broken.code, broken.stdout]).toEqual([1, expect.stringContaining("net.ipv4.conf.all.arp_ignore=1")]);
        await lab.shell("real1", "sysctl -qw net.ipv4.conf.all.arp_ignore=1");
        expect((await real("down")).code).toBe(0);
        expect(difference(before, await hostState(lab, "real1"))).toEqual([]);
        expect((await real("down")).code).toBe(0);
      },
      { servers: false, realServers: false },
    );
  });
