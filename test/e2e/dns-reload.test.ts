/** Zones and services that change under load: every question gets an answer that the old or the new revision gives. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packet from "dns-packet";
import { freePort, startDaemon, type TestDaemon } from "../lib/daemon.ts";
import { DnsLoad } from "../lib/dns-load.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-dns-reload-"));
const file = join(folder, "example.com.zone");
const port = freePort();
/** The name's addresses in the two revisions; an alias leads once to a record, once to the service. */
const NAMES: Record<string, readonly string[]> = {
  "www.example.com": ["192.0.2.1", "192.0.2.2"],
  "x.star.example.com": ["192.0.2.31", "192.0.2.32"],
  "shop.example.com": ["192.0.2.41", "192.0.2.42"],
};
const addressAt = (name: string, revision: number): string => NAMES[name]![revision % 2]!;

/** The zone as a file, and the rest, of a revision. */
function write(revision: number): object {
  const alias = revision % 2 === 0 ? "www" : "shop";
  const records = [
    `www 60 A ${addressAt("www.example.com", revision)}`,
    `*.star 60 A ${addressAt("x.star.example.com", revision)}`,
    `alias 60 CNAME ${alias}`,
    `only${revision} 60 TXT here`,
  ];
  writeFileSync(file, `${records.join("\n")}\n`);
  return {
    version: 1,
    workers: 2,
    dns: { listen: [`127.0.0.1:${port}`], zones: { "example.com": { file } } },
    services: {
      shop: {
        method: "dns",
        names: ["shop.example.com", ...(revision % 2 === 0 ? [] : ["second.example.com"])],
        backends: [addressAt("shop.example.com", revision)],
        check: "none",
      },
    },
  };
}

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon(write(0), "dns-reload");
});
afterAll(async () => {
  await daemon.dispose();
  rmSync(folder, { recursive: true });
});

/** One question on a connection of its own; what is wrong with the answer, or null. */
function overTcp(name: string, known: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const message = packet.encode({ type: "query", id: 7, questions: [{ type: "A", name }] });
    let input: Buffer = Buffer.alloc(0);
    const socket = createConnection(port, "127.0.0.1", () =>
      socket.write(Uint8Array.from([message.length >> 8, message.length & 255, ...message])),
    );
    const end = (why: string | null): void => {
      socket.destroy();
      resolve(why);
    };
    socket.setTimeout(3000, () => end("no answer"));
    socket.on("error", (error) => end(error.message));
    socket.on("close", () => end("closed"));
    socket.on("data", (chunk: Buffer) => {
      input = Buffer.concat([input, chunk]);
      if (input.length < 2 || input.length < 2 + input.readUInt16BE(0)) return;
      const { rcode, answers = [] } = packet.decode(input.subarray(2));
      const last = answers.at(-1) as { data?: string } | undefined;
      end(known.includes(last?.data ?? "") ? null : `${rcode} ${JSON.stringify(answers)}`);
    });
  });
}

test("no question is lost, and none is answered by neither of both", async () => {
  const loads = Object.entries(NAMES).flatMap(([name, known]) => [1, 2].map(() => new DnsLoad(port, name, known, 1)));
  let going = true;
  const faults: string[] = [];
  let connections = 0;
  const [alias, either] = ["alias.example.com", [...NAMES["www.example.com"]!, ...NAMES["shop.example.com"]!]];
  const clients = [1, 2].map(async () => {
    for (; going; connections++) {
      const why = await overTcp(alias, either);
      if (why !== null) faults.push(why);
    }
  });
  for (let revision = 1; revision <= 8; revision++) {
    await daemon.write(write(revision));
    // What is wrong with a zone leaves the one that is served as it is.
    if (revision % 3 === 0) {
      writeFileSync(file, "www 60 A 192.0.2.999\n");
      expect(await daemon.reloadBeside()).toBe(1);
      write(revision);
    }
    expect(await daemon.reloadBeside()).toBe(0);
  }
  going = false;
  await Promise.all([...clients, ...loads.map((load) => load.stop())]);
  expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
  expect(faults).toEqual([]);
  expect(connections).toBeGreaterThan(8);
  for (const { questions } of loads) expect(questions).toBeGreaterThan(8);
});
