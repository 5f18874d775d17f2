import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type Access, accessLine } from "./access-log.ts";
import { LogFile, type LogFileEvents } from "./log-file.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-log-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A log file that is open. */
function opened(path: string, events: LogFileEvents): LogFile {
  const file = new LogFile(path, events);
  expect(file.open()).toBeNull();
  return file;
}

const access: Access = {
  at: Date.UTC(2000, 9, 10, 13, 55, 36, 250),
  took: 1.23456,
  service: "shop",
  client: "192.0.2.7",
  method: "GET",
  target: "/a?b",
  minor: 1,
  host: "shop.example",
  referer: "",
  agent: "curl/8",
  status: 200,
  bytes: 1234,
  backend: "10.0.0.1:80",
  attempts: 1,
  reason: "",
};

test("combined, as Apache writes it; JSON with all that is known", () => {
  expect(accessLine(access, "combined")).toBe(
    '192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b HTTP/1.1" 200 1234 "-" "curl/8"\n',
  );
  expect(JSON.parse(accessLine(access, "json"))).toEqual({
    time: "2000-10-10T13:55:36.250Z",
    ms: 1.235,
    ...{ service: "shop", client: "192.0.2.7", method: "GET", target: "/a?b", minor: 1, host: "shop.example" },
    ...{ referer: "", agent: "curl/8", status: 200, bytes: 1234, backend: "10.0.0.1:80", attempts: 1, reason: "" },
  });
});

test("no octet of a request ends a line or forges a field", () => {
  const octets = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  fc.assert(
    fc.property(octets, octets, (target, agent) => {
      const text = accessLine({ ...access, target, agent, referer: agent }, "combined");
      expect(text.indexOf("\n")).toBe(text.length - 1);
      expect(text.split('"').length).toBe(7);
      expect(/^[ -~]*\n$/.test(text)).toBe(true);
      const json = accessLine({ ...access, target, agent }, "json");
      expect(json.indexOf("\n")).toBe(json.length - 1);
      expect(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(json)).toBe(false);
      expect(JSON.parse(json)).toMatchObject({ target, agent });
    }),
  );
});

test("lines reach the file in order; after it was moved away, the new one", async () => {
  const path = join(folder, "moved.log");
  const file = opened(path, { dropped: () => expect.unreachable() });
  for (let i = 0; i < 2000; i++) file.push(`line ${i} ${"x".repeat(40)}\n`);
  await Bun.sleep(150);
  renameSync(path, `${path}.1`);
  file.push("old or new\n");
  expect(file.open()).toBeNull();
  file.push("new\n");
  await file.end();
  const [before, after] = [readFileSync(`${path}.1`, "utf8"), readFileSync(path, "utf8")];
  const numbers = (before + after).split("\n").flatMap((line) => /^line (\d+) /.exec(line)?.[1] ?? []);
  expect(numbers.map(Number)).toEqual(Array.from({ length: 2000 }, (_, i) => i));
  expect(after).toEndWith("new\n");
});

test("a disk that is full, or slower than the lines, costs lines and nothing else; all lost ones are counted", async () => {
  let lost = 0;
  const full = opened("/dev/full", { dropped: (lines) => (lost += lines) });
  for (let i = 0; i < 10; i++) full.push("line\n");
  await full.end();
  expect(lost).toBe(10);
  lost = 0;
  const file = opened(join(folder, "slow.log"), { dropped: (lines) => (lost += lines) });
  const line = `${"x".repeat(1023)}\n`;
  // All in one turn: not one write can end meanwhile.
  for (let i = 0; i < 4000; i++) file.push(line);
  await file.end();
  expect(lost).toBeGreaterThan(1000);
  expect(readFileSync(join(folder, "slow.log"), "utf8").length / 1024).toBe(4000 - lost);
});

test("a path that cannot be opened says why, costs lines that are counted, and gets them once it can", async () => {
  const path = join(folder, "later", "a.log");
  let lost = 0;
  const file = new LogFile(path, { dropped: (lines) => (lost += lines) });
  expect(file.open()).toContain("ENOENT");
  file.push("one\n");
  for (; lost === 0; await Bun.sleep(5));
  mkdirSync(join(folder, "later"));
  file.push("two\n");
  await file.end();
  expect(lost).toBe(1);
  expect(readFileSync(path, "utf8")).toBe("two\n");
});
