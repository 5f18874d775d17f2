/** Earlier revisions run again: by a word, after a crash, and never by half. */
import { afterAll, expect, test } from "bun:test";
import { freePort, sluice, startBackend, startDaemon } from "../lib/daemon.ts";

const backends = ["one", "two", "three"].map((name) => startBackend(name));
const port = freePort();
const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
const config = (which: number, listen = port) => ({
  version: 1,
  workers: 1,
  services: {
    web: { method: "proxy", listen: [`127.0.0.1:${listen}`], backends: [`127.0.0.1:${backends[which]!.port}`] },
  },
});
const daemon = await startDaemon(config(0), "rollback");
afterAll(async () => {
  await daemon.dispose();
  taken.stop(true);
  for (const backend of backends) backend.stop();
});

const ask = (...words: string[]) => sluice("rollback", ...words, "--instance", daemon.instance);
const served = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text();
const list = (): [number, number, boolean][] =>
  JSON.parse(ask("--list", "--json").stdout).revisions.map((r: { revision: number; as: number; running: boolean }) => [
    r.revision,
    r.as,
    r.running,
  ]);

async function reload(which: number): Promise<void> {
  await daemon.write(config(which));
  expect(daemon.reload().code).toBe(0);
}

test("there is nothing before the first", () => {
  const { code, stderr } = ask();
  expect([code, stderr]).toEqual([2, "error: No other configuration has run before revision 1 that is still kept.\n"]);
});

test("twice goes back twice, past what was the same", async () => {
  await reload(1);
  await reload(2);
  await reload(2);
  expect(await served()).toBe("three");
  expect(ask().stdout).toContain("revision 5 is running: what revision 2 was\n");
  expect(await served()).toBe("two");
  expect(ask().stdout).toContain("revision 6 is running: what revision 1 was\n");
  expect(await served()).toBe("one");
  expect(ask().code).toBe(2);
  expect(ask("4").code).toBe(0);
  expect(await served()).toBe("three");
  expect(list()).toEqual([
    [1, 1, false],
    [2, 2, false],
    [3, 3, false],
    [4, 4, false],
    [5, 2, false],
    [6, 1, false],
    [7, 4, true],
  ]);
  expect(ask("--list").stdout).toMatch(/\n +7 +\d+s ago +what 4 was, running\n/);
});

test("the next daemon knows the revisions of one that was killed", async () => {
  await daemon.kill("SIGKILL");
  await daemon.start();
  expect(list().slice(-2)).toEqual([
    [7, 4, false],
    [8, 8, true],
  ]);
  expect(ask("2").code).toBe(0);
  expect(await served()).toBe("two");
});

test("one that can run no more changes nothing", async () => {
  await daemon.write(config(0, taken.port));
  expect(daemon.reload().code).toBe(1);
  expect(ask("77").stderr).toContain("Revision 77 is not kept: 1, 2, 3, 4, 5, 6, 7, 8, 9 are.");
  const free = freePort();
  await daemon.write(config(0, free));
  expect(daemon.reload().code).toBe(0);
  await reload(2);
  const holder = Bun.listen({ hostname: "127.0.0.1", port: free, socket: { data() {} } });
  const { code, stderr } = ask();
  holder.stop(true);
  expect(code).toBe(1);
  expect(stderr).toContain("SLUICE_BIND");
  expect(stderr).toContain("nothing was changed; the running configuration stays (revision 11).\n");
  expect(stderr).toContain("services.web.listen.0  error SLUICE_BIND");
  expect(await served()).toBe("three");
});
