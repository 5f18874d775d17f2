import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostChange } from "../core/host-change.ts";
import { createHostChanges, undoAll } from "./host-changes.ts";
import { linkedPair, netnsMissing, type TestNetns } from "./netns-testing.ts";
import { readSysctl } from "./sysctl.ts";

const missing = netnsMissing();
if (missing) console.warn(`host changes: skipped, ${missing}`);

describe.skipIf(missing !== null)("host changes through the journal", () => {
  let link: ReturnType<typeof linkedPair>;
  let a: TestNetns;
  let dir: string;

  beforeAll(() => {
    link = linkedPair();
    ({ a } = link);
    a.sh("ip route add default via 10.9.0.2 dev eth0 metric 50");
    dir = mkdtempSync(join(tmpdir(), "sluice-journal-"));
  });
  afterAll(() => {
    link?.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  const vip: HostChange = { kind: "address", address: "10.9.0.77", prefix: 32, device: "eth0", announce: true };
  const forward: HostChange = { kind: "sysctl", key: "net.ipv4.ip_forward", value: "1" };
  const ignore: HostChange = { kind: "sysctl", key: "net.ipv4.conf.all.arp_ignore", value: "1", rule: "max" };
  const advmss: HostChange = { kind: "route", to: "default", via: "10.9.0.2", device: "eth0", advmss: 1440 };
  const onLink: HostChange = { kind: "route", to: "10.9.0.0/24", device: "eth0", advmss: 1440 };
  const pair: HostChange = { kind: "veth", name: "sl0", peer: "sl1" };
  const near: HostChange = { kind: "neighbour", address: "10.9.0.2", device: "eth0" };
  const all = [vip, forward, ignore, advmss, onLink, pair, near];

  const picture = (): string =>
    a.sh("ip -4 -o address; ip route; sysctl net.ipv4.ip_forward net.ipv4.conf.all.arp_ignore");

  test("every kind is made, and undone to what was before", async () => {
    await a.within(async () => {
      const before = picture();
      const changes = createHostChanges(join(dir, "all"));
      await changes.change(all, "test");
      expect(a.sh("ip -br address show eth0")).toContain("10.9.0.77/32");
      expect(readSysctl("net.ipv4.ip_forward")).toBe("1");
      expect(readSysctl("net.ipv4.conf.all.arp_ignore")).toBe("1");
      expect(a.sh("ip route")).toContain("default via 10.9.0.2 dev eth0 metric 50 advmss 1440");
      expect(a.sh("ip route")).toMatch(/10\.9\.0\.0\/24 dev eth0 proto kernel scope link src 10\.9\.0\.1 advmss 1440/);
      expect(a.sh("ip link show sl0")).toContain("sl1");
      await changes.change(all, "test");
      expect(changes.applied()).toHaveLength(all.length);
      expect(await undoAll(join(dir, "all"))).toEqual([]);
      expect(picture()).toBe(before);
      expect(createHostChanges(join(dir, "all")).applied()).toEqual([]);
    });
  });

  /** Runs `work` with a folder in which, from `fill` on, nothing can be written. */
  const onDisk = async (fill: string, work: (folder: string, fill: () => void) => Promise<void>): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]);
    try {
      await work(folder, () => void execFileSync("sh", ["-c", fill, folder], { cwd: folder, stdio: "ignore" }));
    } finally {
      execFileSync("umount", [folder]);
      rmSync(folder, { recursive: true });
    }
  };

  test.each([
    ["full", "cat /dev/zero > filler || true"],
    ["read-only", 'mount -o remount,ro "$0"'],
  ])("on a disk that is %s all is undone", (_how, fill) =>
    a.within(() =>
      onDisk(fill, async (folder, unwritable) => {
        const before = picture();
        await createHostChanges(folder).change(all, "test");
        unwritable();
        expect(await undoAll(folder)).toEqual([]);
        expect(picture()).toBe(before);
        expect(existsSync(join(folder, "journal.json.new"))).toBe(false);
        // Once more, from a journal that may say what is no longer so.
        expect(await undoAll(folder)).toEqual([]);
        expect(picture()).toBe(before);
      }),
    ),
  );

  test("what was there before is not ours and stays", async () => {
    await a.within(async () => {
      a.sh("ip address add 10.9.0.77/24 dev eth0; sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_ignore=2");
      const changes = createHostChanges(join(dir, "there"));
      await changes.change([vip, forward, ignore], "test");
      expect(changes.applied()).toEqual([]);
      await changes.undoAll();
      expect(a.sh("ip -br address show eth0")).toContain("10.9.0.77/24");
      expect(readSysctl("net.ipv4.conf.all.arp_ignore")).toBe("2");
      a.sh("ip address del 10.9.0.77/24 dev eth0; sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.arp_ignore=0");
    });
  });

  test("two owners: undone when the last one gives it up", async () => {
    await a.within(async () => {
      const changes = createHostChanges(join(dir, "two"));
      await changes.change([vip], "nat");
      await changes.change([vip], "direct");
      await changes.undo([vip], "nat");
      expect(a.sh("ip -br address show eth0")).toContain("10.9.0.77/32");
      await changes.undo([vip], "direct");
      expect(a.sh("ip -br address show eth0")).not.toContain("10.9.0.77");
    });
  });

  test("two values for one sysctl, undone in the order they were made", async () => {
    await a.within(async () => {
      const more: HostChange = { ...ignore, value: "2" } as HostChange;
      const changes = createHostChanges(join(dir, "values"));
      await changes.change([ignore], "one");
      await changes.change([more], "two");
      await changes.undo([ignore], "one");
      expect(readSysctl("net.ipv4.conf.all.arp_ignore")).toBe("2");
      await changes.undo([more], "two");
      expect(readSysctl("net.ipv4.conf.all.arp_ignore")).toBe("0");
    });
  });

  test("a later process sweeps what an earlier one left and nobody wants now", async () => {
    await a.within(async () => {
      const other: HostChange = { kind: "address", address: "10.9.0.78", prefix: 32, device: "eth0" };
      await createHostChanges(join(dir, "sweep")).change([vip, other], "nat");
      const next = createHostChanges(join(dir, "sweep"));
      await next.change([other], "nat");
      expect(await next.sweep()).toEqual([]);
      expect(a.sh("ip -br address show eth0")).not.toContain("10.9.0.77");
      expect(a.sh("ip -br address show eth0")).toContain("10.9.0.78/32");
      await next.undoAll();
    });
  });

  test("a change is in the journal before it is made; one that fails leaves the rest undoable", async () => {
    await a.within(async () => {
      const changes = createHostChanges(join(dir, "fails"));
      const bad: HostChange = { kind: "address", address: "10.9.0.78", prefix: 32, device: "nope" };
      await expect(changes.change([vip, bad], "test")).rejects.toThrow("SLUICE_HOST_COMMAND");
      expect(readFileSync(join(dir, "fails", "journal.json"), "utf8")).toContain("10.9.0.78");
      expect(await undoAll(join(dir, "fails"))).toEqual([]);
      expect(a.sh("ip -br address show eth0")).not.toContain("10.9.0.77");
    });
  });

  test("of many at once one fails: it is named, and the others are made and undone with it", async () => {
    await a.within(async () => {
      const before = picture();
      const at = (address: string, prefix = 32, device = "eth0"): HostChange => {
        return { kind: "address", address, prefix, device };
      };
      const changes = createHostChanges(join(dir, "many"));
      const some = [
        at("10.9.0.81"),
        at("10.9.0.82", 32, "nope"),
        at("10.9.0.83"),
        at("10.9.0.83", 28),
        at("10.9.0.81"),
      ];
      await expect(changes.change(some, "test")).rejects.toThrow(/10\.9\.0\.82\/32 dev nope: Cannot find device/);
      expect(a.sh("ip -br address show eth0")).toMatch(/10\.9\.0\.81\/32 10\.9\.0\.83\/32/);
      expect(changes.applied()).toHaveLength(4);
      await changes.undo(some, "test");
      expect(picture()).toBe(before);
      expect(changes.applied()).toEqual([]);
    });
  });

  test("what stands on a device that has another name now is ours still, and is undone there", async () => {
    await a.within(async () => {
      a.sh("ip link add was type veth peer name was-peer");
      const changes = createHostChanges(join(dir, "renamed"));
      const on = (device: string): HostChange[] => [
        { kind: "address", address: "10.9.0.78", prefix: 32, device },
        { kind: "sysctl", key: `net/ipv4/conf/${device}/send_redirects`, value: "0" },
      ];
      await changes.change(on("was"), "test");
      a.sh("ip link set was name is");
      await changes.change(on("is"), "test");
      expect(changes.applied().map(({ change }) => change)).toEqual(on("is"));
      // Where the other is there as well it is somebody else's.
      a.sh("ip link add other type veth peer name other-peer; ip address add 10.9.0.78/32 dev other");
      await changes.change([on("other")[0]!], "test");
      expect(changes.applied()).toHaveLength(2);
      await changes.undo(on("is"), "test");
      expect(a.sh("ip -o address show dev is")).not.toContain("10.9.0.78");
      expect(readSysctl("net/ipv4/conf/is/send_redirects")).toBe("1");
      a.sh("ip link del is; ip link del other");
    });
  });

  test("of many neighbours one that somebody has taken away keeps none of the others", async () => {
    await a.within(async () => {
      const changes = createHostChanges(join(dir, "neighbours"));
      const many = [2, 3, 4, 5].map((n): HostChange => ({ kind: "neighbour", address: `10.9.0.${n}`, device: "eth0" }));
      await changes.change(many, "test");
      a.sh("ip neigh del 10.9.0.4 dev eth0");
      await changes.undo(many, "test");
      expect(a.sh("ip neigh show nud all")).not.toContain("10.9.0.");
      expect(changes.applied()).toEqual([]);
    });
  });

  test("gone devices are no failure of undoing, and an absent journal is nothing to undo", async () => {
    await a.within(async () => {
      const changes = createHostChanges(join(dir, "gone"));
      await changes.change([pair, { kind: "address", address: "10.8.0.1", prefix: 32, device: "sl0" }], "test");
      a.sh("ip link del sl0");
      expect(await changes.undoAll()).toEqual([]);
      expect(await undoAll(join(dir, "never"))).toEqual([]);
      expect(existsSync(join(dir, "never"))).toBe(false);
    });
  });
});
