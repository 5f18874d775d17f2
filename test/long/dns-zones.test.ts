/** Zones that nobody would write, made at random, asked of NSD and Knot beside ours: the same answers (RFC 1034 4.3.2). */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { aBackend, aServer, aService, aSnapshot, ask } from "../../src/methods/dns/testing.ts";
import { type Below, numbers } from "../../src/methods/dns/xdp/queries.ts";
import { type Parsed, parseMessage } from "../../src/protocols/dns/testing.ts";
import { answersOf, apart, partOf, serves } from "../e2e/dns-peers/compare.ts";
import { logOf, type PeerServer, startPeerServer } from "../e2e/dns-peers/servers.ts";

const ZONES = 12;
const QUESTIONS = 150;
const folder = mkdtempSync(join(tmpdir(), "sluice-zones-"));
afterAll(() => rmSync(folder, { recursive: true }));

const DS = `1 13 2 ${"00".repeat(32)}`;

/** What chance gives: few labels, so that names meet. */
function chance(below: Below) {
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const name = (): string => Array.from({ length: 1 + below(3) }, () => pick(["a", "b", "c", "d", "*"])).join(".");
  const target = (): string => (below(6) === 0 ? "x.example.net." : name());
  return { below, pick, name, target };
}
type Chance = ReturnType<typeof chance>;

/** Aliases, renamings, delegations, addresses and texts at names of one to three labels, stars among them. */
function zoneText({ below, name, target }: Chance): string {
  const lines = ["$ORIGIN example.com.", "$TTL 300", "@ SOA ns1 h 1 2 3 4 60", "@ NS ns1", "ns1 A 192.0.2.53"];
  const owners = new Set<string>();
  for (let i = 4 + below(12); i > 0; i--) {
    const owner = name();
    if (owners.has(owner)) continue;
    owners.add(owner);
    const kind = below(8);
    if (kind < 2) lines.push(`${owner} CNAME ${target()}`);
    else if (kind === 2 && !owner.startsWith("*")) lines.push(`${owner} DNAME ${target()}`, `${owner} TXT beside`);
    else if (kind === 3 && !owner.startsWith("*"))
      lines.push(`${owner} NS ns.${owner}`, `ns.${owner} A 192.0.2.9`, ...(below(2) ? [`${owner} DS ${DS}`] : []));
    else lines.push(kind < 6 ? `${owner} A 192.0.2.${1 + below(200)}` : `${owner} TXT t${below(100)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Ours over a zone file; null for a zone that it refuses. */
function serverOf(file: string): ReturnType<typeof aServer> | null {
  const snapshots = [aSnapshot("other", [aBackend(0, "192.0.2.1")])];
  try {
    return aServer([aService("other", { names: ["www.other.test"] })], snapshots, {
      zones: { "example.com": { file } },
    });
  } catch {
    return null;
  }
}

/** A zone that all take, in a file of its own. */
function zoneOf(made: Chance, place: string): { text: string; file: string; server: ReturnType<typeof aServer> } {
  const file = join(folder, `${place}.zone`);
  while (true) {
    const text = zoneText(made);
    writeFileSync(file, text);
    const server = serverOf(file);
    if (server !== null) return { text, file, server };
  }
}

/** Aliases in an answer beyond which they have no end: each server has a limit of its own. */
const ENDLESS = 8;

/** Aliases that go round, which Knot repeats some times (docs/dns-peers.md; none else has a record twice), or lead on for ever. */
const endless = (answer: Parsed | null): boolean =>
  answer !== null &&
  (answer.answers.length > ENDLESS ||
    answer.answers.some(({ rdata }) => new Set(rdata.map((r) => r.toString())).size < rdata.length));

const parts = ["rcode", "aa", "tc", "answers", "authority", "silence"];

async function compare(peer: string, seed: number): Promise<string[]> {
  const made = chance(numbers(seed));
  const { text, file, server } = zoneOf(made, `${peer}-${seed}`);
  const types = ["A", "TXT", "CNAME", "DNAME", "NS", "DS", "AAAA"];
  const questions = Array.from({ length: QUESTIONS }, () => ({
    name: `${made.name()}.example.com`,
    type: made.pick(types),
    edns: true,
  }));
  const own = join(folder, String(seed));
  const other: PeerServer = await startPeerServer(peer, own, file);
  try {
    if (!(await serves(other.port))) throw new Error(`${peer} does not serve:\n${await logOf(own, peer)}\n${text}`);
    const theirs = await answersOf(questions, other.port);
    return questions.flatMap(({ name, type }, i) => {
      const ours = parseMessage(server.raw(ask({ name, type, edns: 1232 })));
      if (endless(ours) || endless(theirs[i]!)) return [];
      return apart(ours, theirs[i]!)
        .filter((part) => parts.includes(part))
        .map((part) => `${name} ${type}: ${part} ${partOf(ours, part)}, theirs ${partOf(theirs[i]!, part)}\n${text}`);
    });
  } finally {
    await other.stop();
  }
}

for (const peer of ["nsd", "knot"]) {
  const why = await startPeerServer(peer, join(folder, "first"), "").then(
    (server) => server.stop().then(() => null),
    (error: Error) => error.message,
  );
  if (why !== null) console.error(`skipped: ${peer}: ${why}`);
  test.skipIf(why !== null)(
    `${peer} answers as ours does, whatever the zone`,
    async () => {
      const first = Math.floor(Math.random() * 2 ** 31);
      for (let i = 0; i < ZONES; i++) {
        const different = await compare(peer, first + i);
        expect({ seed: first + i, different }).toEqual({ seed: first + i, different: [] });
      }
    },
    300_000,
  );
}
