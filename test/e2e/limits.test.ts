/** Limits of connections bound the service, not each worker of it. */
import { afterAll, expect, test } from "bun:test";
import { dial, type End } from "../../src/relay/testing.ts";
import { livingWorkers } from "../../src/supervisor/orphans.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { freePort, startBackend, startDaemon, type TestDaemon } from "../lib/daemon.ts";

const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

const backend = startBackend("one");
stops.push(backend.stop);

async function serve(port: number, options: object): Promise<TestDaemon> {
  const web = {
    method: "proxy",
    listen: [`127.0.0.1:${port}`],
    backends: [`127.0.0.1:${backend.port}`],
    check: "none",
  };
  const daemon = await startDaemon({ version: 1, workers: 2, services: { web: { ...web, proxy: options } } }, "limits");
  stops.push(() => daemon.dispose());
  return daemon;
}

/** Opens connections one by one, each with a request; the status of each. The kernel spreads them over both workers. */
async function statuses(port: number, count: number, held: End[]): Promise<string[]> {
  const all: string[] = [];
  for (let i = 0; i < count; i++) {
    const end = dial(port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await end.has("\r\n\r\n");
    all.push(end.got.slice(9, 12));
    if (end.got.startsWith("HTTP/1.1 200")) held.push(end);
  }
  return all;
}

const tally = (all: readonly string[], status: string): number => all.filter((one) => one === status).length;

test("limits of connections, in all and of one client, hold over all workers; what a dead one held is free again", async () => {
  for (const [limits, refused] of [
    [{ connections: 10 }, "503"],
    [{ perAddress: 10 }, "429"],
  ] as const) {
    const port = freePort();
    const daemon = await serve(port, { limits });
    const held: End[] = [];
    const first = await statuses(port, 30, held);
    expect([tally(first, "200"), tally(first, refused)]).toEqual([10, 20]);
    held.pop()!.stop();
    // The worker hears of the end a moment later.
    let more: string[] = [];
    while (tally(more, "200") === 0) more = await statuses(port, 1, held);
    expect(held.length).toBe(10);
    expect(await statuses(port, 3, held)).toEqual([refused, refused, refused]);
    const [victim] = livingWorkers(instancePaths(daemon.instance));
    process.kill(victim!.pid, "SIGKILL");
    const open = (): End[] => held.filter(({ closed, ended }) => !closed && !ended);
    const said = (): number => daemon.said().split("READY").length;
    while (said() < 4 || open().length === 10) await Bun.sleep(10);
    const again = await statuses(port, 20, []);
    // By now every end of the dead one's connections has been heard.
    expect(tally(again, "200")).toBe(10 - open().length);
  }
});
