import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { background } from "./background.ts";
import { run, runSync, spawnChild } from "./child.ts";
import { foreground } from "./foreground.ts";

test("a program that takes too long is given up with what it has said, though one that it has started lives on", async () => {
  const { code, stdout } = await run(["sh", "-c", "sleep 600 & echo $!; sleep 600"], { timeout: 300 });
  expect([code, stdout]).toEqual([137, expect.stringMatching(/^\d+\n$/)]);
  expect(process.kill(Number(stdout), "SIGKILL")).toBe(true);
});

test("what a program says to the end is there, also what comes after it from one that it has started", async () => {
  expect(await run(["sh", "-c", "(sleep 0.3; echo last) & echo first"])).toMatchObject({ stdout: "first\nlast\n" });
  const { stdout } = await run(["head", "-c", "3000000", "/dev/zero"]);
  expect(stdout).toHaveLength(3_000_000);
});

test("whoever waits for the end of a child of ours goes on when its end has been told", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-child-"));
  const program = join(directory, "endless.ts");
  writeFileSync(program, "setInterval(() => {}, 1000);");
  const told: (number | string | null)[] = [];
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    const child = spawnChild({ program, onMessage() {}, onExit: (code, by) => told.push(code, by) });
    child.kill(signal);
    told.push(await child.exited);
  }
  rmSync(directory, { recursive: true });
  expect(told).toEqual([null, "SIGKILL", 137, null, "SIGTERM", 143]);
});

test("a program that a signal ends has the code that a shell gives it", async () => {
  for (const [signal, code] of [
    ["INT", 130],
    ["KILL", 137],
    ["SEGV", 139],
    ["TERM", 143],
  ] as const) {
    const command = ["sh", "-c", `kill -${signal} $$`];
    const { promise: left, resolve: ended } = Promise.withResolvers<number>();
    background(command, ended);
    const codes = [(await run(command)).code, runSync(command).code, await foreground(command), await left];
    expect(codes).toEqual([code, code, code, code]);
  }
});
