/** What goes wrong around a daemon that serves, and what it makes of it. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeMmdb } from "../../src/geo/mmdb-testing.ts";
import { startTime } from "../../src/runtime/pidfd.ts";
import { livingWorkers, WORKERS_FILE } from "../../src/supervisor/orphans.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { freePort, sluice, startBackend, startDaemon, type TestDaemon, uniqueName } from "../lib/daemon.ts";

const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

const backend = startBackend("one");
stops.push(backend.stop);

async function serve(config: object): Promise<TestDaemon> {
  const daemon = await startDaemon({ version: 1, workers: 2, ...config }, "mishaps");
  stops.push(() => daemon.dispose());
  return daemon;
}
const web = (port: number, more: object = {}) => ({
  method: "proxy",
  listen: [`127.0.0.1:${port}`],
  backends: [`127.0.0.1:${backend.port}`],
  check: "none",
  ...more,
});
const readyPids = (daemon: TestDaemon): number[] =>
  [...daemon.said().matchAll(/worker (\d+) READY/g)].map(([, pid]) => Number(pid));
const get = async (port: number): Promise<string> => (await fetch(`http://127.0.0.1:${port}/`)).text();

test("workers that could not be written down are found and ended by `sluice down` all the same", async () => {
  const port = freePort();
  const daemon = await serve({ services: { web: web(port) } });
  const paths = instancePaths(daemon.instance);
  // As on a full disk: what would replace the file cannot be written.
  mkdirSync(join(paths.runDir, `${WORKERS_FILE}.new`));
  const before = readyPids(daemon);
  await daemon.write({
    services: { web: web(port, { listen: [`127.0.0.1:${port}`, `127.0.0.1:${freePort()}`] }) },
    version: 1,
    workers: 2,
  });
  expect(daemon.reload().code).toBe(0);
  while (before.some((pid) => startTime(pid) !== null)) await Bun.sleep(20);
  await daemon.kill("SIGKILL");
  const unknown = readyPids(daemon).slice(before.length);
  expect(unknown.map((pid) => startTime(pid) !== null)).toEqual([true, true]);
  expect(livingWorkers(paths)).toEqual([]);
  expect(await get(port)).toBe("one");
  expect(sluice("down", "--instance", daemon.instance).code).toBe(0);
  for (let i = 0; i < 100 && unknown.some((pid) => startTime(pid) !== null); i++) await Bun.sleep(20);
  expect(unknown.map(startTime)).toEqual([null, null]);
});

test("a worker that starts anew when the database of places is damaged serves without it, and that is said everywhere", async () => {
  const file = join("/tmp", `sluice-${uniqueName("places")}.mmdb`);
  stops.push(() => rmSync(file, { force: true }));
  const made = writeMmdb([{ prefix: "127.0.0.0/8", country: "DE", continent: "EU" }]);
  const whole = readFileSync(made.file);
  made.remove();
  writeFileSync(file, whole);
  const [port, dnsPort] = [freePort(), freePort()];
  const backends = [{ address: `127.0.0.1:${backend.port}`, tags: ["de"] }];
  const config = {
    geo: file,
    places: { de: { countries: ["de"] } },
    services: {
      web: web(port, { backends, nearest: true }),
      names: { method: "dns", names: ["a.example.com"], backends, check: "none", nearest: true },
    },
    dns: { listen: [`127.0.0.1:${dnsPort}`] },
  };
  const daemon = await serve(config);
  writeFileSync(file, whole.subarray(0, whole.length / 2));
  const before = readyPids(daemon);
  process.kill(before[0]!, "SIGKILL");
  for (let i = 0; i < 250 && readyPids(daemon).length < 3; i++) await Bun.sleep(20);
  expect(readyPids(daemon).length).toBe(3);
  for (let i = 0; i < 20; i++) expect(await get(port)).toBe("one");
  expect(daemon.said()).toMatch(/WARN .*worker \d+ LACKING — dns: SLUICE_GEO_UNREADABLE the database of places/);
  expect(daemon.said()).toMatch(/worker \d+ LACKING — proxy: SLUICE_GEO_UNREADABLE/);
  const troubles = daemon.status().services.flatMap((service) => service.troubles);
  const message = expect.stringContaining("1 of 2 workers: the database of places cannot be read");
  expect(troubles).toEqual([
    { code: "SLUICE_GEO_UNREADABLE", message },
    { code: "SLUICE_GEO_UNREADABLE", message },
  ]);
  const metrics = sluice("metrics", "--instance", daemon.instance).stdout;
  expect(metrics).toMatch(/sluice_service_troubles\{service="web",.*code="SLUICE_GEO_UNREADABLE"\} 1\n/);
  // A reload with the damaged one is refused as ever, and one with a whole one makes all well.
  expect(daemon.reload().code).toBe(1);
  writeFileSync(file, whole);
  expect(daemon.reload().code).toBe(0);
  expect(daemon.status().services.flatMap((service) => service.troubles)).toEqual([]);
}, 60_000);
