import { afterEach, expect, test } from "bun:test";
import { run } from "../runtime/child.ts";
import { sleep } from "../runtime/clock.ts";
import { listenTcp } from "../runtime/tcp.ts";
import { Checkers } from "./checkers.ts";

const program = "checks/checker/main.ts";

/** The checker of this process. */
async function checker(): Promise<number> {
  return Number((await run(["pgrep", "-P", String(process.pid), "-f", program])).stdout.trim());
}

const ends: (() => void)[] = [];
// Also of a test that was not done in time: a stopped child would stay for ever.
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

test.each([
  ["SIGSTOP", "silent", "no sign of life for 3 s"],
  ["SIGKILL", "died", "SIGKILL"],
] as const)("after %s a checker is told as %s, and another goes on with its jobs", async (signal, what, detail) => {
  const server = listenTcp("127.0.0.1", 0, { data() {} }, () => undefined);
  let verdicts = 0;
  const lost: unknown[] = [];
  const doors = {
    verdict: () => void verdicts++,
    join: () => Promise.resolve(),
    lost: (...told: unknown[]) => void lost.push(told),
  };
  const checkers = new Checkers(doors, 3);
  const check = { kind: "tcp", options: {}, interval: 20_000, timeout: 1000, rise: 1, fall: 1 };
  checkers.assign("host", [{ key: "web/1", check, target: { address: "127.0.0.1", port: server.port } }]);
  const heard = async (): Promise<void> => {
    for (const before = verdicts; verdicts === before; ) await sleep(20);
  };
  ends.push(
    () => checkers.stop(),
    () => server.stop(),
  );
  await heard();
  // Longer than the patience: a checker that has little to say is left alone.
  await sleep(5000);
  expect(lost).toEqual([]);
  const first = await checker();
  process.kill(first, signal);
  while (lost.length === 0) await sleep(20);
  await heard();
  expect(lost).toEqual([[first, what, detail]]);
  expect(await checker()).not.toBe(first);
});
