import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Listener } from "../core/service.ts";
import { closeFd, localEnd, makeListener } from "../runtime/listen.ts";
import { instancePaths, writeState } from "../system/instance.ts";
import { adoptOrphans, writeWorkers } from "./orphans.ts";
import { SocketTable } from "./sockets.ts";

const runDir = mkdtempSync(join(tmpdir(), "sluice-orphans-"));
const instance = { ...instancePaths("orphans"), runDir };
const stops: (() => unknown)[] = [() => rmSync(runDir, { recursive: true })];
afterAll(() => {
  for (const stop of stops.reverse()) stop();
});

/** A listening socket of this process, and where it listens. */
function listening(protocol: "tcp" | "udp" = "tcp"): { fd: number; listener: Listener } {
  const made = makeListener({ address: "127.0.0.1", port: 0, protocol });
  if (!made.ok) throw new Error("no socket");
  stops.push(() => closeFd(made.value));
  return { fd: made.value, listener: { address: "127.0.0.1", port: localEnd(made.value).port, protocol } };
}

const held = (table: SocketTable, listener: Listener): number => table.of(listener, 0, 1).length;

test("of a worker that still listens its sockets are taken, each once, whoever else names it", () => {
  const [one, two] = [listening(), listening("udp")];
  const sockets = [
    { ...one.listener, fd: one.fd },
    { ...two.listener, fd: two.fd },
  ];
  writeWorkers(instance, [
    { pid: process.pid, sockets },
    { pid: process.pid, sockets },
  ]);
  const table = new SocketTable();
  expect(adoptOrphans(instance, table).count).toBe(2);
  expect([held(table, one.listener), held(table, two.listener)]).toEqual([1, 1]);
});

test("a number that means another thing by now is left alone: a drained worker's listener is closed, its number used again", () => {
  const [mine, other] = [listening(), listening()];
  const child = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  stops.push(() => child.stop(true));
  writeWorkers(instance, [
    { pid: process.pid, sockets: [{ ...mine.listener, fd: other.fd }] },
    { pid: process.pid, sockets: [{ ...mine.listener, fd: 0 }] },
    { pid: process.pid, sockets: [{ ...mine.listener, protocol: "udp", fd: mine.fd }] },
  ]);
  const table = new SocketTable();
  adoptOrphans(instance, table);
  expect(table.prepare([mine.listener], 1)).toEqual([]);
  expect(localEnd(table.of(mine.listener, 0, 1)[0]!).port).toBe(mine.listener.port);
  expect(held(table, mine.listener)).toBe(1);
});

test("processes that are gone, or that have come in their place, are no workers", () => {
  writeState(instance, "workers.json", [{ pid: process.pid, started: 1, sockets: [] }]);
  expect(adoptOrphans(instance, new SocketTable()).count).toBe(0);
});
