import { expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { run } from "../runtime/child.ts";
import { createLog, type LogOptions } from "./log.ts";

function logged(over: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const clock = { at: Date.UTC(2026, 4, 1) };
  const log = createLog({ level: "info", format: "text", write: (l) => lines.push(l), now: () => clock.at, ...over });
  return { log, lines, clock };
}

test("one line of text with its fields", () => {
  const { log, lines } = logged({ fields: { worker: 3 } });
  log("warn", "backend failed", { backend: "web/10.0.0.7:80", why: "connect refused", n: 4, gone: undefined });
  expect(lines).toEqual([
    '2026-05-01T00:00:00.000Z WARN  backend failed worker=3 backend=web/10.0.0.7:80 why="connect refused" n=4\n',
  ]);
});

test("one line of JSON; no field hides the head", () => {
  const { log, lines } = logged({ format: "json" });
  log("error", "broken", { level: "x", error: new TypeError("no") });
  expect(JSON.parse(lines[0]!)).toEqual({
    time: "2026-05-01T00:00:00.000Z",
    level: "error",
    message: "broken",
    _level: "x",
    error: "TypeError: no",
  });
});

test("below its level nothing is written, and the level can change", () => {
  const { log, lines } = logged();
  log("debug", "a");
  expect(lines).toEqual([]);
  log.level = "debug";
  log("debug", "a");
  expect(lines).toHaveLength(1);
});

test("a message in a flood is cut, and the rest is counted; other messages are not", () => {
  const { log, lines, clock } = logged();
  for (let i = 0; i < 500; i++) log("warn", "flood", { i });
  log("warn", "other");
  expect(lines).toHaveLength(21);
  clock.at += 11_000;
  log("warn", "flood", { i: 500 });
  expect(lines.slice(21)).toEqual([
    "2026-05-01T00:00:11.000Z WARN  480 more suppressed message_was=flood\n",
    "2026-05-01T00:00:11.000Z WARN  flood i=500\n",
  ]);
  for (let i = 0; i < 25; i++) log("warn", "flood", { i });
  log.flush();
  expect(lines.at(-1)).toContain("6 more suppressed");
});

test("messages without end do not fill the memory, and lose no count", () => {
  const { log, lines } = logged();
  for (let i = 0; i < 5000; i++) log("info", `name ${i}`);
  expect(lines.length).toBe(5000);
});

test("nothing that is logged can forge a line or move the cursor, in either format", () => {
  const hostile = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(hostile, hostile, hostile, (message, key, value) => {
      for (const format of ["text", "json"] as const) {
        const { log, lines } = logged({ format });
        log("info", message, { [key]: value, deep: { [key]: [value] } });
        expect(lines).toHaveLength(1);
        expect(lines[0]!.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/);
        if (format === "json") expect(JSON.parse(lines[0]!).message).toBe(message);
      }
    }),
  );
});

test("a clock that is set back ends the rate limit's window: nothing is silent until it has caught up", () => {
  const lines: string[] = [];
  let now = 10_000_000;
  const log = createLog({ level: "info", format: "text", now: () => now, write: (line) => void lines.push(line) });
  for (let i = 0; i < 100; i++) log("info", "often");
  const before = lines.length;
  now -= 3_600_000;
  log("info", "often");
  expect(lines.slice(before).at(-1)).toEndWith("often\n");
});

test("what cannot be written does not throw", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const { log, lines } = logged({ format: "json" });
  log("info", "odd", { circle, big: 10n, f: () => 1, s: Symbol("x"), nothing: null });
  expect(JSON.parse(lines[0]!)).toMatchObject({ circle: "(cannot be written)", big: "10", nothing: null });
  createLog({
    level: "info",
    format: "text",
    write: () => {
      throw new Error("closed");
    },
  })("info", "x");
});

test("a program outlives whoever read its log", async () => {
  const program = `
    import { createLog } from ${JSON.stringify(join(import.meta.dirname, "log.ts"))};
    const log = createLog({ level: "info", format: "text" });
    let lines = 0;
    setInterval(() => {
      log("info", "something");
      if (++lines === 10) process.exit(0);
    }, 20);
    process.on("exit", () => console.log(lines));`;
  // Standard error is a pipe whose other end is closed; standard output is ours.
  const command = `{ "$0" --no-env-file -e "$1" 2>&1 >&3 | true; } 3>&1`;
  expect(await run(["sh", "-c", command, process.execPath, program])).toMatchObject({ stdout: "10\n" });
});
