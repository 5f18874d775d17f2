/** A daemon under clients and backends that do all they should not, reloaded in the middle: nothing stays counted or held. */
import { afterAll, expect, test } from "bun:test";
import fc from "fast-check";
import { live, moods, settles, socketsOf, story } from "../../src/relay/abuse-testing.ts";
import { deadPort, dial, RawBackend } from "../../src/relay/testing.ts";
import { livingWorkers } from "../../src/supervisor/orphans.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { freePort, startDaemon } from "../lib/daemon.ts";

const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

/** Clients, and those at a time. */
const CLIENTS = 600;
const TOGETHER = 40;

function aBackend(turn: number): RawBackend {
  const all = Object.values(moods);
  const backend = new RawBackend((end) => all[turn++ % all.length]!(end));
  stops.push(() => backend.stop());
  return backend;
}

test("after a crowd of them all gauges are zero and no socket is left, in any worker", async () => {
  const backends = [0, 5, 11].map(aBackend);
  const short = { body: "150ms", stall: "150ms", connect: "100ms", response: "100ms", read: "100ms", pool: "100ms" };
  const options = {
    timeouts: { ...short, idle: "1s", head: "1s", tunnel: "1s" },
    limits: { backend: 4, perAddress: 1000 },
    queue: { size: 8, timeout: "60ms" },
    retryOn: [503, "timeout"],
    health: { ejection: false },
  };
  const [port, other] = [freePort(), freePort()];
  const common = {
    method: "proxy",
    backends: [...backends.map((one) => `127.0.0.1:${one.port}`), `127.0.0.1:${deadPort()}`],
    check: "none",
  };
  const config = (retries: number) => ({
    version: 1,
    workers: 2,
    services: {
      web: { ...common, listen: [`127.0.0.1:${port}`], proxy: { ...options, retries } },
      stream: { ...common, listen: [`127.0.0.1:${other}`], proxy: { ...options, retryOn: [], mode: "tcp", retries } },
    },
  });
  const daemon = await startDaemon(config(2), "abuse");
  stops.push(() => daemon.dispose());
  const workers = (): number[] => livingWorkers(instancePaths(daemon.instance)).map(({ pid }) => pid);
  const before = workers().map(socketsOf);
  const stories = fc.sample(story, { numRuns: CLIENTS, seed: 1127 });
  let at = 0;
  const one = async (): Promise<void> => {
    for (let mine = at++; mine < CLIENTS; mine = at++) {
      await live(dial(mine % 3 === 0 ? other : port), stories[mine]!);
      // The workers of before drain beside those that come.
      if (mine === CLIENTS / 2) await daemon.write(config(1)).then(() => daemon.reloadBeside());
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, one));
  for (const end of backends.flatMap(({ connections }) => connections)) end.socket?.resume();
  const gauges = (): (number | null)[] =>
    daemon
      .status()
      .services.flatMap(({ counts, backends: all }) => [
        counts.active,
        counts.queued,
        ...all.map((backend) => backend.counts.active),
      ]);
  await settles(() => gauges().every((gauge) => gauge === 0));
  expect(gauges().filter((gauge) => gauge !== 0)).toEqual([]);
  expect(workers()).toHaveLength(2);
  await settles(() => workers().every((pid, i) => socketsOf(pid) <= before[i]!));
  expect(workers().map(socketsOf)).toEqual(before);
  expect(daemon.said()).not.toContain("failed inside");
}, 120_000);
