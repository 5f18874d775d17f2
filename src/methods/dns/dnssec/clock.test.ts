import { afterAll, afterEach, expect, setSystemTime, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Type } from "../../../protocols/dns/numbers.ts";
import { parseMessage } from "../../../protocols/dns/testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "../testing.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-clock-"));
afterEach(() => void setSystemTime());
afterAll(() => rmSync(folder, { recursive: true }));

const DAY = 86_400;
const begin = Math.floor(Date.now() / 1000);
const questions = [
  ["shop.example.com", Type.A],
  ["shop.example.com", Type.TXT],
  ["none.example.com", Type.A],
  ["example.com", Type.DNSKEY],
  ["example.com", Type.CDS],
  ["example.com", Type.SOA],
] as const;

/** A jump of the clock, seconds; the daemon looks at its keys after it, and all signatures hold at that time. */
test.each([
  ["back by a week", -7 * DAY],
  ["back by an hour", -3600],
  ["on by a day", DAY],
  ["on by a month, as after a sleep", 30 * DAY],
])("whatever was signed holds after the clock has been set %s", (_what, jump) => {
  setSystemTime(begin * 1000);
  const server = aServer([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])], {
    zones: { "example.com": null },
    dnssec: { keys: folder },
  });
  const terms = (now: number) =>
    questions.flatMap(([name, type]) => {
      const { answers, authority } = parseMessage(server.raw(ask({ name, type, edns: 1232, dnssecOk: true })));
      const rrsigs = [...answers, ...authority].filter((set) => set.type === Type.RRSIG).flatMap(({ rdata }) => rdata);
      expect(rrsigs.length).toBeGreaterThan(0);
      return rrsigs.map((rdata) => {
        const view = new DataView(rdata.buffer, rdata.byteOffset);
        return view.getUint32(12) <= now && now < view.getUint32(8);
      });
    });
  expect(terms(begin)).not.toContain(false);
  setSystemTime((begin + jump) * 1000);
  server.keep();
  expect(terms(begin + jump)).not.toContain(false);
});
