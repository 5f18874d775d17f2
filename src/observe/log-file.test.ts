import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LogFile, type LogFileEvents } from "./log-file.ts";
import { LogSink } from "./log-sink.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-log-file-"));
afterAll(() => rmSync(folder, { recursive: true }));
let made = 0;
function fifo(): string {
  const path = join(folder, `fifo-${made++}`);
  Bun.spawnSync(["mkfifo", path]);
  return path;
}
/** A log file that is open. */
function opened(path: string, events: LogFileEvents): LogFile {
  const file = new LogFile(path, events);
  expect(file.open()).toBeNull();
  return file;
}

const reader = (path: string): number => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
const noneLost = { dropped: () => expect.unreachable() };
const block = Buffer.alloc(64 * 1024);

/** What there is to read now, "" too when there is nothing. */
function taken(fd: number): string {
  try {
    return block.toString("latin1", 0, readSync(fd, block, 0, block.length, null));
  } catch (error) {
    expect((error as { code?: string }).code).toBe("EAGAIN");
    return "";
  }
}

/** The next `length` characters, read little by little. */
async function read(fd: number, length: number): Promise<string> {
  let text = "";
  while (text.length < length) {
    text += taken(fd);
    await Bun.sleep(1);
  }
  return text;
}

test("a FIFO's reader that is slower than the lines gets them all, each whole, also from several writers", async () => {
  const path = fifo();
  const fd = reader(path);
  const files = ["a", "b", "c"].map((name) => ({ name, file: opened(path, noneLost) }));
  const own = (name: string): string[] => Array.from({ length: 3000 }, (_, i) => `${name} ${i} ${"x".repeat(i % 200)}`);
  for (const { name, file } of files) for (const line of own(name)) file.push(`${line}\n`);
  const text = await read(fd, 3 * own("a").join("\n").length + 3);
  await Promise.all(files.map(({ file }) => file.end()));
  expect(taken(fd)).toBe("");
  const lines = text.split("\n").slice(0, -1);
  for (const { name } of files) expect(lines.filter((line) => line.startsWith(name))).toEqual(own(name));
  expect(lines.length).toBe(9000);
});

test("a line that no FIFO takes at once comes whole too", async () => {
  const path = fifo();
  const fd = reader(path);
  const file = opened(path, noneLost);
  const lines = Array.from({ length: 40 }, (_, i) => `${i} ${"y".repeat(20_000)}\n`);
  for (const line of lines) file.push(line);
  expect(await read(fd, lines.join("").length)).toBe(lines.join(""));
  await file.end();
});

test("lines wait for a FIFO's first reader, and for the next one when it has gone", async () => {
  const path = fifo();
  const file = opened(path, noneLost);
  file.push("one\n");
  await Bun.sleep(150);
  const first = reader(path);
  expect(await read(first, 4)).toBe("one\n");
  closeSync(first);
  file.push("two\n");
  await Bun.sleep(150);
  expect(await read(reader(path), 4)).toBe("two\n");
  await file.end();
});

test("a FIFO that nobody reads costs the lines in the end, and all are counted", async () => {
  let lost = 0;
  const whys = new Set<string>();
  const dropped = (lines: number, why: string): void => {
    lost += lines;
    whys.add(why);
  };
  const file = opened(fifo(), { dropped });
  const line = `${"z".repeat(1023)}\n`;
  for (let i = 0; i < 1500; i++) file.push(line);
  expect(lost).toBeGreaterThan(0);
  await file.end();
  expect(lost).toBe(1500);
  expect([...whys]).toContain("nobody reads it");
});

test("what follows a line that broke off does not continue it", async () => {
  const path = fifo();
  const fd = reader(path);
  const sink = new LogSink(path);
  expect(await sink.write(Buffer.from(`${"a".repeat(60_000)}\n`), 0)).toEqual({ bytes: 60_001, fault: null });
  const long = Buffer.from(`${"b".repeat(9000)}\n`);
  const { bytes } = await sink.write(long, 0);
  expect(bytes).toBeLessThan(long.length);
  expect(await sink.write(long, bytes)).toEqual({ bytes: 0, fault: "EAGAIN" });
  sink.tear();
  expect(await sink.write(Buffer.from("in vain\n"), 0)).toEqual({ bytes: 0, fault: "EAGAIN" });
  let text = taken(fd);
  const next = Buffer.from("next\n");
  expect(await sink.write(next, 0)).toEqual({ bytes: next.length, fault: null });
  expect(await sink.write(next, 0)).toEqual({ bytes: next.length, fault: null });
  sink.close();
  text += taken(fd);
  closeSync(fd);
  expect(text).toBe(`${"a".repeat(60_000)}\n${"b".repeat(bytes)}\nnext\nnext\n`);
});

test("a disk that fills up inside a line costs that line and none that comes when there is room", () => {
  const path = join(folder, "full.log");
  // The size that a file may have stands for the disk's.
  const program = `
    import { LogFile } from ${JSON.stringify(join(import.meta.dir, "log-file.ts"))};
    let lost = 0;
    const file = new LogFile(${JSON.stringify(path)}, { dropped: (lines) => (lost += lines) });
    file.open();
    const limit = (size) => Bun.spawnSync(["prlimit", "--pid", String(process.pid), "--fsize=" + size + ":"]);
    limit(1000);
    for (let i = 0; i < 20; i++) file.push("line " + i + " " + "x".repeat(90) + "\\n");
    while (lost === 0) await Bun.sleep(5);
    limit(100000);
    file.push("after\\n");
    await file.end();
    console.log(lost);`;
  const { stdout, stderr } = Bun.spawnSync([
    "sh",
    "-c",
    'trap "" XFSZ; exec "$@"',
    "sh",
    process.execPath,
    "-e",
    program,
  ]);
  expect(stderr.toString()).toBe("");
  const lines = readFileSync(path, "utf8").split("\n");
  const whole = lines.filter((line) => /^line \d+ x{90}$/.test(line)).length;
  expect(whole).toBeGreaterThan(0);
  expect(Number(stdout.toString())).toBe(20 - whole);
  expect(lines.slice(-2)).toEqual(["after", ""]);
  expect(lines[whole]).toStartWith("line ");
});

test("what has been written makes room: far more lines than may wait go through", async () => {
  const path = join(folder, "long.log");
  const file = opened(path, noneLost);
  const line = `${"x".repeat(1023)}\n`;
  for (let written = 0; written < 4 * 1024 * 1024; ) {
    for (let i = 0; i < 512; i++) file.push(line);
    written += 512 * line.length;
    for (; statSync(path).size < written; await Bun.sleep(1));
  }
  await file.end();
  expect(statSync(path).size).toBe(4 * 1024 * 1024);
});

test("where the path cannot be opened anew the old file stays; otherwise it is closed, and so is the last", async () => {
  const path = join(folder, "often.log");
  const held = () =>
    readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path) ? [fd] : [];
      } catch {
        return []; // the folder's own
      }
    }).length;
  const file = opened(path, noneLost);
  for (let i = 0; i < 5; i++) {
    file.push(`${i}\n`);
    renameSync(path, `${path}.${i}`);
    expect(file.open()).toBeNull();
    for (; held() > 1; await Bun.sleep(1));
  }
  renameSync(path, `${path}.last`);
  mkdirSync(path);
  expect(file.open()).toContain("EISDIR");
  file.push("last\n");
  await file.end();
  for (; held() > 0; await Bun.sleep(1));
  expect(readFileSync(`${path}.last`, "utf8")).toEndWith("last\n");
});

test("a line that is begun is ended in the old file, whatever is opened meanwhile", async () => {
  const path = fifo();
  const fd = reader(path);
  const file = opened(path, noneLost);
  const lines = ["a", "b", "c"].map((letter) => `${letter.repeat(50_000)}\n`);
  for (const line of lines) file.push(line);
  // The first line, and a part of the second: the pipe holds no more.
  let text = await read(fd, 60_000);
  renameSync(path, `${path}.1`);
  expect(file.open()).toBeNull();
  const after = () => readFileSync(path, "latin1");
  for (; text.length + after().length < 150_003; await Bun.sleep(1)) text += taken(fd);
  await file.end();
  expect(text + after()).toBe(lines.join(""));
  expect(text).toEndWith("\n");
});
