import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { orderOf } from "../../bench/support/packet-rig.ts";
import { createXdpApplier } from "../../src/dataplane/applier.ts";
import { compileProgram } from "../../src/dataplane/build.ts";
import { listFlows } from "../../src/dataplane/flow-list.ts";
import { PlaneView } from "../../src/dataplane/plane-view.ts";
import { testBackend, testDoors, testService } from "../../src/dataplane/testing/doors.ts";
import { mac } from "../../src/dataplane/testing/fixtures.ts";
import { TestNetwork } from "../../src/dataplane/testing/network.ts";
import { Programs } from "../../src/dataplane/testing/programs.ts";
import { type TestNetns, wire } from "../../src/system/netns-testing.ts";
import { eventually } from "../lib/lab.ts";
import { noXdp } from "../lib/skip.ts";

const skip = test.skipIf(noXdp !== null);
const VIP = "125.12.12.77";
const net = noXdp === null ? new TestNetwork() : null!;
const programs = new Programs();
const folder = mkdtempSync(join(tmpdir(), "sluice-flood-"));
let director: TestNetns;
let doors: ReturnType<typeof testDoors> | undefined;

beforeAll(async () => {
  if (noXdp !== null) return;
  const lan = net.switch("switch");
  director = net.host("director");
  net.plug(director, lan, "eth0", "125.12.12.12/24");
  net.plug(net.host("client"), lan, "eth0", "125.12.12.100/24");
  for (const [name, address] of [
    ["rs1", "125.12.12.20"],
    ["rs2", "125.12.12.21"],
  ] as const) {
    net.plug(net.host(name), lan, "eth0", `${address}/24`);
    net.holdVip(net.host(name), VIP);
    await programs.server(net.host(name), name, VIP, 80);
  }
  // The flood has a cable of its own: what is lost is not lost in a switch.
  wire(director, "eth1", "125.12.13.12/24", net.host("attacker"), "eth0", "");
  director.sh(`ip link set eth1 address ${mac.director}`);
  compileProgram(join(import.meta.dirname, "../../bench/support/generator.bpf.c"), join(folder, "generator.o"));
  doors = testDoors();
}, 60_000);
afterAll(async () => {
  await programs.stop();
  if (noXdp !== null) return;
  net.remove();
  doors?.close();
  rmSync(folder, { recursive: true, force: true });
});

skip("in a flood of random sources that fills a core, connections lose nothing, and real clients still get in", async () => {
  const client = await programs.client(net.host("client"));
  const open = (count: number) => client({ do: "open", address: VIP, port: 80, count });
  await director.within(async () => {
    const applier = await createXdpApplier(doors!, "direct");
    const prepared = await applier.prepare([
      {
        ...testService(
          "web",
          [{ address: VIP, port: 80, protocol: "tcp" as const }],
          [testBackend(1, "125.12.12.20", null), testBackend(2, "125.12.12.21", null)],
        ),
        devices: ["eth1"],
        // So few a second that the first ones of the test use them up, also when the flood gets little of a busy host.
        limits: { connections: { rate: 1, burst: 45 }, prove: true },
      },
    ]);
    if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
    await prepared.commit();
    expect(new Set(await open(40))).toEqual(new Set(["open"]));
    const names = (answers: string[]) => answers.map((answer) => answer.split(" ")[0]);
    const first = names(await client({ do: "ask", size: 10 }));
    const order = orderOf({ source: "10.0.0.1", target: VIP, port: 80, flows: 2 ** 32 - 1, flood: 2 ** 32 - 1 });
    const sent = await programs.flooder(
      net.host("attacker"),
      join(folder, "generator.o"),
      "eth0",
      Buffer.from(order).toString("hex"),
    );
    const drops = async () => (await applier.counts()).get("web")!.drops;
    await eventually("the flood is held up", async () => ((await drops()).SLUICE_DROP_UNPROVEN ?? 0) > 100_000, 30_000);
    for (let i = 0; i < 5; i++) expect(names(await client({ do: "ask", size: 1000 }))).toEqual(first);
    expect(new Set(await open(10))).toEqual(new Set(["open"]));
    expect(names(await client({ do: "ask", size: 10 })).slice(0, 40)).toEqual(first);
    expect(await sent()).toBeGreaterThan(100_000);
    // Nobody but SYNs was refused, and one real client has proved itself.
    const { SLUICE_DROP_UNPROVEN: challenged, ...others } = await drops();
    expect(challenged).toBeGreaterThan(100_000);
    expect(Object.keys(others)).toEqual(["SLUICE_DROP_PROOF"]);
    // The flood has left nothing behind.
    const view = PlaneView.open(doors!.bpfDir)!;
    expect(listFlows(view, { after: 0, limit: 1 })).toEqual({ flows: [], more: false });
    view.close();
    await applier.remove();
  });
}, 60_000);
