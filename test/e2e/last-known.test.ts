/** A daemon that ends and starts again: by what are names answered first? */
import { afterAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packet from "dns-packet";
import { instancePaths, STATE_FILE } from "../../src/system/instance.ts";
import { freePort, startBackend, startDaemon, type TestDaemon } from "../lib/daemon.ts";

const daemons: TestDaemon[] = [];
afterAll(async () => {
  for (const daemon of daemons) await daemon.dispose();
});

/** The addresses that the name server says first. */
async function answered(port: number): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: { data: (_socket, data) => resolve(Buffer.from(data)) },
  });
  socket.send(packet.encode({ type: "query", id: 1, questions: [{ name: "shop.example.com", type: "A" }] }));
  const { answers } = packet.decode(await promise);
  socket.close();
  return answers!.map((one) => (one as { data: string }).data).sort();
}

/** A service of which one backend is alive and one is dead when the daemon ends, and which then are alive both. */
async function restarted(start: object, signal: NodeJS.Signals, between: (daemon: TestDaemon) => unknown) {
  const [port, dead] = [freePort(), freePort()];
  const living = startBackend("living");
  const config = {
    version: 1,
    workers: 1,
    ...start,
    dns: { listen: [`127.0.0.1:${port}`] },
    services: {
      shop: {
        method: "dns",
        names: ["shop.example.com"],
        backends: [`127.0.0.1:${living.port}`, `127.0.0.2:${dead}`],
        // Only first checks come within the test.
        check: { http: "/", interval: "10m", timeout: "2s", rise: 2, fall: 2 },
      },
    },
  };
  const daemon = await startDaemon(config, "known");
  daemons.push(daemon);
  expect(await answered(port)).toEqual(["127.0.0.1"]);
  const workers = JSON.parse(readFileSync(join(instancePaths(daemon.instance).runDir, "workers.json"), "utf8"));
  await daemon.kill(signal);
  // A daemon that is killed leaves workers behind, who would answer until the next one serves.
  if (signal === "SIGKILL") for (const { pid } of workers as { pid: number }[]) process.kill(pid, signal);
  const revived = Bun.serve({ hostname: "127.0.0.2", port: dead, fetch: () => new Response("revived") });
  await between(daemon);
  await daemon.start();
  const first = await answered(port);
  revived.stop(true);
  living.stop();
  return first;
}

const state = ({ instance }: TestDaemon): string => join(instancePaths(instance).runDir, STATE_FILE);
const nothing = (): void => {};
const remembered = { start: { remembered: "10m" } };
const [byState, byChecks] = [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]];

test("by first checks, where nothing else is configured", async () => {
  expect(await restarted({}, "SIGKILL", nothing)).toEqual(byChecks);
});

test("by the state that was left, after a crash and after an orderly end", async () => {
  expect(await restarted(remembered, "SIGKILL", nothing)).toEqual(byState);
  expect(await restarted(remembered, "SIGTERM", nothing)).toEqual(byState);
});

test("by first checks, when the state is gone, torn, old, or of another check", async () => {
  const altered = (change: (text: string) => string) => (daemon: TestDaemon) =>
    writeFileSync(state(daemon), change(readFileSync(state(daemon), "utf8")));
  const ways = {
    gone: (daemon: TestDaemon) => Bun.spawnSync(["rm", state(daemon)]),
    torn: altered((text) => text.slice(0, -1)),
    old: altered((text) => text.replace(/"at":\d+/, `"at":${Date.now() - 601_000}`)),
    "of another check": ({ file }: TestDaemon) =>
      writeFileSync(file, readFileSync(file, "utf8").replace('"http": "/"', '"http": "/other"')),
  };
  for (const [way, change] of Object.entries(ways))
    expect([way, await restarted(remembered, "SIGKILL", change)]).toEqual([way, byChecks]);
});
