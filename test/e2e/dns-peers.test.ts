/**
 * The same zone and questions to BIND, NSD, Knot and PowerDNS: the same sections, or a difference that
 * docs/dns-peers.md explains. And transfers of it to dig, signed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { peer } from "../../src/lab/peers.ts";
import { freePort, startDaemon, type TestDaemon } from "../lib/daemon.ts";
import { answersOf, apart, partOf, serves } from "./dns-peers/compare.ts";
import { differences } from "./dns-peers/differences.ts";
import { questions } from "./dns-peers/questions.ts";
import { logOf, type PeerServer, peerServers, startPeerServer } from "./dns-peers/servers.ts";

const zone = join(import.meta.dirname, "dns-peers/example.com.zone");
const folder = mkdtempSync(join(tmpdir(), "sluice-peers-"));
const port = freePort();
const SECRET = "c2l4dGVlbiBvY3RldHMhIQ==";
let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon(
    {
      version: 1,
      workers: 1,
      dns: {
        listen: [`127.0.0.1:${port}`],
        zones: { "example.com": { file: zone } },
        tsigKeys: { "to-second": { secret: SECRET }, strong: { algorithm: "hmac-sha512", secret: SECRET } },
        transfers: { keys: ["to-second", "strong"] },
      },
      services: { other: { method: "dns", names: ["www.other.test"], backends: ["192.0.2.9:80"], check: "none" } },
    },
    "dns-peers",
  );
});
afterAll(async () => {
  await daemon.dispose();
  rmSync(folder, { recursive: true });
});

const starts = await Promise.all(
  peerServers.map(async (name): Promise<{ name: string; server: PeerServer | null; why: string }> => {
    try {
      return { name, server: await startPeerServer(name, folder, zone), why: "" };
    } catch (error) {
      return { name, server: null, why: (error as Error).message };
    }
  }),
);
afterAll(async () => {
  await Promise.all(starts.map(({ server }) => server?.stop()));
});

for (const { name, server, why } of starts) {
  if (!server) console.error(`skipped: ${name}: ${why}`);
  test.skipIf(!server)(
    `${name} answers the same, but for what is explained`,
    async () => {
      if (!(await serves(server!.port))) throw new Error(`${name} does not serve:\n${await logOf(folder, name)}`);
      const [ours, theirs] = [await answersOf(questions, port), await answersOf(questions, server!.port)];
      const explained = differences.filter(({ peers }) => peers.includes(name));
      const unexplained: string[] = [];
      const used = new Set<string>();
      for (const [i, question] of questions.entries()) {
        for (const part of apart(ours[i]!, theirs[i]!)) {
          const why = explained.find((d) => d.parts.includes(part) && d.questions.includes(question.label));
          if (why) used.add(why.id);
          else
            unexplained.push(
              `${question.label}, ${question.edns ? "EDNS" : "plain"}: ${part} ${partOf(ours[i]!, part)}, theirs ${partOf(theirs[i]!, part)}`,
            );
        }
      }
      expect(unexplained).toEqual([]);
      // An explanation that explains nothing is to be taken out.
      expect(explained.map(({ id }) => id).filter((id) => !used.has(id))).toEqual([]);
    },
    60_000,
  );
}

test("every difference has its line in docs/dns-peers.md", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/dns-peers.md"), "utf8");
  for (const { id, why } of differences) expect(text).toContain(`| \`${id}\` | ${why} |`);
});

describe("a transfer to dig", async () => {
  const dig = await peer("dig").catch((error) => void console.error(`skipped: ${error.message}`));
  const axfr = async (...words: string[]): Promise<string> => {
    const command = [dig!.program, "@127.0.0.1", "-p", `${port}`, "+tries=1", "+time=3", ...words];
    const child = Bun.spawn(command, { env: dig!.env, stdout: "pipe", stderr: "pipe" });
    return (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  };

  test.skipIf(!dig)("signed by a key of ours: the whole zone, every message signed", async () => {
    for (const key of [`to-second:${SECRET}`, `hmac-sha512:strong:${SECRET}`]) {
      const said = await axfr("-y", key.includes("sha512") ? key : `hmac-sha256:${key}`, "example.com", "AXFR");
      expect(said).not.toMatch(/BADSIG|BADKEY|failed|TSIG error/);
      expect(said).toContain("TSIG");
      expect(said.match(/\sSOA\s/g)).toHaveLength(2);
      expect(said).toMatch(/many\.example\.com\.\s+60\s+IN\s+A\s+192\.0\.2\.103/);
    }
    const lines = new Set(
      (await axfr("-y", `hmac-sha256:to-second:${SECRET}`, "example.com", "AXFR", "+noall", "+answer", "+onesoa"))
        .trim()
        .split("\n"),
    );
    const incremental = await axfr(
      "-y",
      `hmac-sha256:to-second:${SECRET}`,
      "example.com",
      "IXFR=1",
      "+noall",
      "+answer",
      "+onesoa",
    );
    expect(new Set(incremental.trim().split("\n"))).toEqual(lines);
  });

  test.skipIf(!dig)("without a key, or with a wrong secret: refused, and said why", async () => {
    expect(await axfr("example.com", "AXFR")).toContain("Transfer failed");
    expect(await axfr("-y", `hmac-sha256:to-second:${"AAAA".repeat(6)}`, "example.com", "AXFR")).toMatch(/BADSIG/);
    expect(await axfr("-y", `hmac-sha256:nobody:${SECRET}`, "example.com", "SOA")).toMatch(/BADKEY/);
    // An ordinary question, signed: the answer is too, and dig believes it.
    const signed = await axfr("-y", `hmac-sha256:to-second:${SECRET}`, "mail.example.com", "A");
    expect(signed).toMatch(/NOERROR[\s\S]*192\.0\.2\.25[\s\S]*TSIG/);
    expect(signed).not.toMatch(/BADSIG|Couldn't verify/);
  });
});
