import { expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createApi, type Daemon } from "../admin/api.ts";
import { createEventLog, type EventLog, type Recorded } from "../observe/events.ts";
import { run } from "../runtime/child.ts";
import { sleep } from "../runtime/clock.ts";
import { serveUnix } from "../runtime/http.ts";
import { linesOf } from "../runtime/lines.ts";
import { instancePaths } from "../system/instance.ts";

const main = join(import.meta.dirname, "main.ts");
/** ms after which a fetch that may be silent for a second has been given up for sure: Bun looks every four seconds. */
const LONG_SILENT = 9000;

test("who follows events outlasts a long silence, and goes on with the next daemon: none missed, none twice, the gap told", async () => {
  const { adminSocket, runDir, name } = instancePaths(`events-${process.pid}`);
  mkdirSync(runDir, { recursive: true });
  let asked = 0;
  const serve = (events: EventLog) => {
    const api = createApi({ events } as unknown as Daemon);
    return serveUnix(adminSocket, (request) => {
      asked++;
      return api.fetch(request);
    });
  };
  const happens = (log: EventLog, pid: number) => log.record({ kind: "worker", pid, what: "ready", detail: "" });
  const first = createEventLog();
  let server = serve(first);
  const child = Bun.spawn([process.execPath, main, "events", "--follow", "--json", "--instance", name], {
    env: { ...process.env, BUN_CONFIG_HTTP_IDLE_TIMEOUT: "1" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines = linesOf(child.stdout);
  const heard = async (): Promise<number> => {
    const { event } = JSON.parse((await lines.next()).value!) as Recorded;
    return event.kind === "worker" ? event.pid : 0;
  };
  try {
    happens(first, 1);
    expect(await heard()).toBe(1);
    await sleep(LONG_SILENT);
    happens(first, 2);
    expect(await heard()).toBe(2);
    expect(asked).toBe(1);
    server.stop();
    const second = createEventLog();
    for (const pid of [3, 4]) happens(second, pid);
    server = serve(second);
    expect([await heard(), await heard()]).toEqual([3, 4]);
    happens(second, 5);
    expect(await heard()).toBe(5);
  } finally {
    child.kill();
    server.stop();
    rmSync(runDir, { recursive: true, force: true });
  }
  expect((await child.stderr.text()).match(/the daemon has ended its events|events may be missing here/g)).toEqual([
    "the daemon has ended its events",
    "events may be missing here",
  ]);
});

test("who follows ends when its reader has left, though nothing more happens", async () => {
  const { adminSocket, runDir, name } = instancePaths(`events-left-${process.pid}`);
  mkdirSync(runDir, { recursive: true });
  const events = createEventLog();
  events.record({ kind: "worker", pid: 1, what: "ready", detail: "" });
  const api = createApi({ events } as unknown as Daemon);
  const server = serveUnix(adminSocket, (request) => api.fetch(request));
  try {
    const follows = '"$0" --no-env-file "$1" events -f --json --instance "$2"';
    const line = `set -o pipefail; ${follows} | head -n 1 | wc -l; echo $?`;
    const { stdout, stderr } = await run(["bash", "-c", line, process.execPath, main, name], { timeout: 20_000 });
    expect([stdout, stderr]).toEqual(["1\n141\n", ""]);
  } finally {
    server.stop();
    rmSync(runDir, { recursive: true, force: true });
  }
});
