import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { existsSync } from "node:fs";
import type { HostChange } from "../core/host-change.ts";
import type { Applier } from "../core/method.ts";
import { sleep } from "../runtime/clock.ts";
import { eventually, netnsMissing, type TestNetns, wire } from "../system/netns-testing.ts";
import { createXdpApplier } from "./applier.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { type TestHost, testHost } from "./testing/host.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: an applier: ${missing}`);
const VIP = "125.12.12.77";
const service = testService("web", [{ address: VIP, port: 80, protocol: "tcp" }], [testBackend(1, "10.9.0.1", null)]);

describe.skipIf(missing !== null)("an applier", () => {
  let stage: TestHost;
  let host: TestNetns;
  let doors: TestHost["doors"];
  beforeAll(() => {
    stage = testHost("applier", "125.12.12.12/24", "125.12.12.20/24");
    const { other } = stage;
    ({ host, doors } = stage);
    wire(host, "eth1", "125.13.13.12/24", other, "eth1", "125.13.13.20/24");
    host.sh("ip route add 10.9.0.0/24 via 125.12.12.20");
  }, patience(30_000));
  afterAll(() => {
    stage?.remove();
  });

  const apply = async (applier: Applier<PlaneService>, next = service): Promise<void> => {
    const prepared = await applier.prepare([next]);
    if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
    await prepared.commit();
  };
  /** Has the next look at the devices see what is there at once, and tell it a second and a half later. */
  const slowLook = () => {
    const { spawn } = Bun;
    let [begun, over] = [false, false];
    const slow = ((command: string[], options: object) => {
      if (begun || !command.join(" ").endsWith("link show")) return spawn(command, options);
      const child = spawn(["sh", "-c", `${command.join(" ")}; sleep 1.5`], options);
      begun = true;
      void child.exited.then(() => {
        over = true;
      });
      return child;
    }) as typeof spawn;
    const spy = spyOn(Bun, "spawn").mockImplementation(slow);
    return { begun: () => begun, over: () => over, end: () => spy.mockRestore() };
  };
  const programOn = (device: string): boolean => host.sh(`ip link show dev ${device}`).includes("xdp");

  test(
    "that is removed while it follows a way that has moved leaves nothing behind",
    () =>
      host.within(async () => {
        let removed: Promise<void> | null = null;
        let applier: Applier<PlaneService>;
        const change = async (changes: readonly HostChange[]): Promise<void> => {
          await doors.change(changes);
          if (removed || !changes.some((one) => one.kind === "neighbour" && one.device === "eth1")) return;
          // The way's own change is made, and not yet told: at this very point somebody removes all.
          removed = applier.remove();
          await sleep(1500);
        };
        applier = await createXdpApplier({ ...doors, change }, "direct");
        await apply(applier);
        expect([programOn("eth0"), programOn("eth1")]).toEqual([true, false]);
        host.sh("ip route replace 10.9.0.0/24 via 125.13.13.20");
        for (let i = 0; i < 150 && !removed; i++) await sleep(100);
        expect(removed).not.toBeNull();
        await removed;
        await sleep(2000);
        expect([programOn("eth0"), programOn("eth1")]).toEqual([false, false]);
        expect(existsSync(doors.bpfDir)).toBe(false);
        expect(host.sh("ip neigh show nud all")).not.toContain("managed");
        expect(host.sh("ip address show")).not.toContain(VIP);
      }),
    patience(60_000),
  );

  test(
    "that is removed while devices are being looked at lets the look end first",
    () =>
      host.within(async () => {
        const applier = await createXdpApplier(doors, "direct");
        await apply(applier);
        const looking = slowLook();
        try {
          expect(await eventually(looking.begun, 20_000)).toBe(true);
          await applier.remove();
          expect(looking.over()).toBe(true);
          expect(programOn("eth0")).toBe(false);
        } finally {
          looking.end();
        }
      }),
    patience(60_000),
  );

  test(
    "holds a VIP again that somebody has taken away, and none that it has given up",
    () =>
      host.within(async () => {
        const applier = await createXdpApplier(doors, "direct");
        await apply(applier);
        const held = (): boolean => host.sh("ip address show dev eth0").includes(VIP);
        expect(held()).toBe(true);
        host.sh(`ip address del ${VIP}/32 dev eth0`);
        expect(await eventually(held, 20_000)).toBe(true);
        await applier.setRole!("standby");
        host.sh("ip route add 10.77.0.0/24 via 125.12.12.20");
        await sleep(6000);
        expect(held()).toBe(false);
        await applier.remove();
      }),
    patience(60_000),
  );

  test(
    "waits once for a link address that nobody tells, and for none of a revision that is no more",
    () =>
      host.within(async () => {
        const said: string[] = [];
        const log = (_level: string, message: string): void => void said.push(message);
        const applier = await createXdpApplier({ ...doors, log }, "direct");
        const silent = { ...service, backends: [...service.backends, testBackend(2, "125.12.12.99", null)] };
        const waited = async (next: PlaneService): Promise<string[]> => {
          said.length = 0;
          await apply(applier, next);
          return said.filter((message) => message.startsWith("no link address yet"));
        };
        expect(await waited(silent)).toEqual(["no link address yet for 125.12.12.99 on eth0"]);
        expect([await waited(silent), await waited(service)]).toEqual([[], []]);
        await applier.remove();
      }),
    patience(60_000),
  );

  test(
    "leaves no neighbour to be kept fresh of a backend that has gone, silent as it may be",
    () =>
      host.within(async () => {
        const applier = await createXdpApplier(doors, "direct");
        const kept = (): boolean => /125\.12\.12\.99 .*managed/.test(host.sh("ip neigh show nud all"));
        await apply(applier, { ...service, backends: [...service.backends, testBackend(2, "125.12.12.99", null)] });
        expect(kept()).toBe(true);
        await apply(applier);
        // While its way is known it may be asked for; and then no more.
        for (let free = 0; free < 8; free = kept() ? 0 : free + 1) await sleep(1000);
        await apply(applier, { ...service, backends: [testBackend(2, "125.12.12.99", null)] });
        await sleep(2500);
        await applier.remove();
        expect(host.sh("ip neigh show nud all")).not.toContain("managed");
      }),
    patience(120_000),
  );
});
