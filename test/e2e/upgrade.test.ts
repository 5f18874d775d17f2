/** `sluice upgrade`: the next daemon takes over whole, or the running one goes on; a service manager hears of it. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { fetchUnix } from "../../src/runtime/http.ts";
import { livingWorkers } from "../../src/supervisor/orphans.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { ByteLoad, startByteServer } from "../lib/byte-load.ts";
import { freePort, sluice, startDaemon, type TestDaemon } from "../lib/daemon.ts";
import { ManagerSocket } from "../lib/manager-socket.ts";

const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

const server = startByteServer();
stops.push(server.stop);

const configOf = (port: number): object => ({
  version: 1,
  workers: 1,
  services: {
    web: { method: "proxy", listen: [`127.0.0.1:${port}`], backends: [`127.0.0.1:${server.port}`], check: "none" },
  },
});

/** A daemon, and at the end whichever daemon runs the instance by then. */
async function serve(port: number, under: string[] = []): Promise<TestDaemon> {
  const daemon = await startDaemon(configOf(port), "upgrade", under);
  stops.push(async () => {
    const pid = await runningPid(daemon);
    if (pid !== null && pid !== daemon.pid) await end(pid);
    await daemon.dispose();
  });
  return daemon;
}

const runningPid = (daemon: TestDaemon): Promise<number | null> =>
  fetchUnix(instancePaths(daemon.instance).adminSocket, "/v1/status")
    .then(async (response) => ((await response.json()) as { pid: number }).pid)
    .catch(() => null);

async function end(pid: number): Promise<void> {
  process.kill(pid, "SIGTERM");
  for (let i = 0; i < 500 && (await Bun.file(`/proc/${pid}/cmdline`).exists()); i++) await Bun.sleep(20);
}

/** `sluice upgrade --json` while this process goes on with its load; what it printed. */
async function upgradeMeanwhile(daemon: TestDaemon): Promise<string> {
  const program = join(import.meta.dirname, "../../bin/sluice");
  const child = Bun.spawn([program, "upgrade", "--json", "--instance", daemon.instance], { stdout: "pipe" });
  const said = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return said;
}

test("the program on disk takes over under load, and no request fails", async () => {
  const port = freePort();
  const daemon = await serve(port);
  const load = new ByteLoad(port, 8, 4, 30);
  const { from, to, file } = JSON.parse(await upgradeMeanwhile(daemon)) as { from: number; to: number; file: string };
  expect({ from, file }).toEqual({ from: daemon.pid, file: daemon.file });
  expect(daemon.status()).toMatchObject({ pid: to, revision: 2, file: daemon.file });
  expect(sluice("status", "--instance", daemon.instance).stdout).toMatch(/revision 2, pid \d+, 1 workers.*\n$/s);
  await Bun.sleep(300);
  await load.stop();
  expect(load.requests).toBeGreaterThan(50);
  expect(load.failures).toEqual([]);
});

test("an upgrade while the only worker is dead waits for the next one: none is refused", async () => {
  const port = freePort();
  const daemon = await serve(port);
  // Dead so soon after its start it is replaced a second later.
  const [worker] = livingWorkers(instancePaths(daemon.instance));
  process.kill(worker!.pid, "SIGKILL");
  const load = new ByteLoad(port, 2, 2, 10);
  await upgradeMeanwhile(daemon);
  await load.stop();
  expect(load.requests).toBeGreaterThan(0);
  expect(load.failures).toEqual([]);
});

test("a configuration that does not hold leaves the running daemon as it is", async () => {
  const port = freePort();
  const daemon = await serve(port);
  await daemon.write({ ...configOf(port), version: 2 });
  const upgraded = sluice("upgrade", "--instance", daemon.instance);
  expect(upgraded.code).toBe(1);
  expect(upgraded.stderr).toContain("the running daemon goes on");
  // And by hand, without the command that looks first.
  const byHand = sluice("run", "--upgrade", "-c", daemon.file, "--instance", daemon.instance);
  expect(byHand.code).toBe(1);
  expect(byHand.stderr).toContain("the running daemon goes on");
  expect(daemon.status()).toMatchObject({ pid: daemon.pid, revision: 1 });
  expect((await fetch(`http://127.0.0.1:${port}/7`)).status).toBe(200);
});

test("a next daemon that ends before it took over is named in the log, and another may follow", async () => {
  const port = freePort();
  const daemon = await serve(port);
  const ask = async (file: string) =>
    fetchUnix(instancePaths(daemon.instance).adminSocket, "/v1/upgrade", {
      method: "POST",
      body: JSON.stringify({ file }),
    });
  expect((await ask("/nonexistent/sluice.yaml")).status).toBe(200);
  const early = await ask(daemon.file);
  expect(early.status).toBe(409);
  expect(((await early.json()) as { message: string }).message).toContain("about to take over already");
  for (let i = 0; i < 200 && !daemon.said().includes("ended before it took over"); i++) await Bun.sleep(50);
  expect(daemon.said()).toContain("There is no such file.");
  expect(daemon.said()).toContain("the next daemon ended before it took over; this one goes on code=SLUICE_UPGRADE");
  expect(await runningPid(daemon)).toBe(daemon.pid);
  expect(sluice("upgrade", "--instance", daemon.instance).code).toBe(0);
});

test("a service manager is told who serves, through an upgrade and to the end", async () => {
  const manager = new ManagerSocket(join("/tmp", `sluice-manager-${process.pid}`));
  const daemon = await serve(freePort(), ["env", `NOTIFY_SOCKET=${manager.path}`]);
  expect(await manager.next()).toBe("READY=1");
  expect(sluice("upgrade", "--instance", daemon.instance).code).toBe(0);
  const next = await runningPid(daemon);
  expect(await manager.next()).toBe(`MAINPID=${next}`);
  expect(await manager.next()).toBe("READY=1");
  await end(next!);
  expect(await manager.next()).toBe("STOPPING=1");
  manager.close();
});
