/**
 * What lists and limits cost per packet, and what a flood of SYNs from random sources costs and breaks: frames of a
 * generator that fills its core, through the director's programs, by the kernel's own statistics.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuardLists } from "../src/core/service.ts";
import { listFlows } from "../src/dataplane/flow-list.ts";
import type { Limits } from "../src/dataplane/guard/schema.ts";
import { PlaneView } from "../src/dataplane/plane-view.ts";
import { testBackend, testService } from "../src/dataplane/testing/doors.ts";
import { xdpMissing } from "../src/dataplane/testing/network.ts";
import { netnsMissing } from "../src/system/netns-testing.ts";
import { defineBench, type Row, row } from "./lib.ts";
import { Rig } from "./support/packet-rig.ts";
import { compare } from "./support/packet-turns.ts";

const load = { source: "10.0.0.1", target: "125.12.12.77", port: 80 };
const METHOD = "direct";
const NETWORKS = 100_000;
/** Of so many packets of a flood one belongs to an established connection. */
const FLOOD = 8;
const ROUND = 400_000;

interface Setting {
  limits?: Limits;
  /** 100,000 networks among which the sources stand, on this list. */
  lists?: "allowFiles" | "blockFiles";
}

const wide = { packetsPerSource: 1_000_000, connectionsPerSource: 1_000_000, connections: 1_000_000, prove: false };
const costs: (Setting & { name: string; flows: number })[] = [
  { name: "off-1k-flows", flows: 1000 },
  { name: "off-100k-flows", flows: 100_000 },
  { name: "lists-1k-flows", flows: 1000, lists: "allowFiles" },
  { name: "lists-100k-flows", flows: 100_000, lists: "allowFiles" },
  { name: "limits-1k-flows", flows: 1000, limits: wide },
  { name: "limits-100k-flows", flows: 100_000, limits: wide },
];
const floods: (Setting & { name: string })[] = [
  { name: "flood-unguarded" },
  { name: "flood-refused", limits: { connections: 1, prove: false } },
  { name: "flood-challenged", limits: { connections: 1, prove: true } },
  { name: "flood-listed", lists: "blockFiles" },
];

const service = (limits?: Limits) => ({
  ...testService(
    "web",
    [{ address: load.target, port: load.port, protocol: "tcp" as const }],
    Array.from({ length: 10 }, (_, i) => testBackend(i + 1, `10.0.1.${i + 1}`, 80)),
  ),
  ...(limits ? { limits } : {}),
});

/** Random-looking networks under 10.0.0.0/8, of /24 to /32. */
function listText(): string {
  const lines = Array.from({ length: NETWORKS }, (_, i) => {
    const host = (Math.imul(i, 2654435761) >>> 8) & 0xffffff;
    const length = 24 + (i % 9);
    const cut = (host >>> (32 - length)) << (32 - length);
    return `10.${cut >> 16}.${(cut >> 8) & 255}.${cut & 255}/${length}`;
  });
  return `${lines.join("\n")}\n`;
}

async function rigFor({ limits, lists }: Setting, folder: string): Promise<Rig> {
  const rig = await Rig.create(METHOD, service(limits));
  const file = join(folder, "networks.txt");
  const none: GuardLists = { block: [], blockFiles: [], allow: [], allowFiles: [] };
  const given = lists && { ...none, [lists]: [{ file, state: "" }] };
  rig.bench.plane.applyGuard(await rig.bench.plane.guard.stage(given, limits !== undefined));
  return rig;
}

/** Flow cells that are in use. */
function entries(rig: Rig): number {
  const view = PlaneView.open(rig.bench.plane.kernel.pins.root)!;
  const found = listFlows(view, { after: 0, limit: 1_000_000 }).flows.length;
  view.close();
  return found;
}

/** ns per packet of a flood, packets that nobody accounts for, and flow cells in use afterwards. */
async function flooded(setting: Setting, folder: string, seconds: number) {
  const rig = await rigFor(setting, folder);
  try {
    rig.load({ ...load, flows: 2 ** 31, flood: FLOOD });
    const program = rig.attachPlane();
    rig.send(ROUND);
    const { plane } = rig.bench;
    const forwarded = (): number =>
      [...plane.mustHave(METHOD, "web").locals.values()].reduce(
        (sum, { number }) => sum + plane.counting.backend(number).packetsIn,
        0,
      );
    const refused = (): number => Object.values(rig.bench.drops(METHOD, "web")).reduce((sum, count) => sum + count, 0);
    const before = forwarded() + refused();
    const costs: number[] = [];
    let sent = 0;
    for (const end = performance.now() + seconds * 1000; sent < 3 * ROUND || performance.now() < end; sent += ROUND)
      costs.push(...rig.costs([program], ROUND));
    // Each packet was forwarded or refused with its reason; what is missing was lost on the way.
    return { cost: Math.min(...costs), lost: sent - (forwarded() + refused() - before), flows: entries(rig) };
  } finally {
    rig.close();
  }
}

export default defineBench({
  summary: "ns per packet of lists and limits, and of floods of SYNs; what a flood loses and leaves",
  cases: [...costs, ...floods].map(({ name }) => name),
  async run(progress, { only, seconds }) {
    const missing = netnsMissing() ?? xdpMissing();
    if (missing) throw new Error(`cannot be measured here: ${missing}`);
    const wanted = ({ name }: { name: string }): boolean => only.length === 0 || only.includes(name);
    const rows: Row[] = [];
    const folder = mkdtempSync(join(tmpdir(), "sluice-flood-"));
    writeFileSync(join(folder, "networks.txt"), listText());
    for (const one of costs.filter(wanted)) {
      progress(one.name);
      const rig = await rigFor(one, folder);
      const { own, bare, above, interval } = compare(rig, rig.attachPlane(), { ...load, flows: one.flows }, seconds);
      rig.close();
      rows.push(row(`${one.name}/${METHOD}/ns`, "ns", "lower", own, { bare }));
      rows.push({ ...row(`${one.name}/${METHOD}/above-bare-ns`, "ns", "lower", above), interval });
    }
    for (const one of floods.filter(wanted)) {
      progress(one.name);
      const { cost, lost, flows } = await flooded(one, folder, seconds);
      rows.push(row(`${one.name}/${METHOD}/ns`, "ns", "lower", cost));
      rows.push(row(`${one.name}/lost/packets`, "packets", "lower", lost));
      rows.push(row(`${one.name}/flow-entries/count`, "entries", "lower", flows));
    }
    rmSync(folder, { recursive: true, force: true });
    return { rows };
  },
});
