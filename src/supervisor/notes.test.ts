import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BackendConfig, Service } from "../core/service.ts";
import { instancePaths, readState, STATE_FILE, writeState } from "../system/instance.ts";
import { Book } from "./book.ts";
import { type FoundBook, foundBy, LastKnown } from "./last-known.ts";
import { Notes } from "./notes.ts";

const folder = mkdtempSync("/tmp/sluice-notes-");
const instance = { ...instancePaths("notes"), runDir: folder };
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});

const backend = (i: number): BackendConfig => ({
  address: `10.0.0.${i}`,
  port: 80,
  weight: 1,
  admin: "ready",
  tier: 0,
  tags: [],
});

const service = (backends: BackendConfig[], path = "/"): Service => ({
  name: "web",
  method: "proxy",
  listen: [],
  names: [],
  scheduler: { name: "round-robin", options: {} },
  backends,
  check: { kind: "http", options: { path }, interval: 1000, timeout: 1000, rise: 2, fall: 3 },
  nearest: false,
  options: {},
});

const config = (one: Service) =>
  ({ version: 1, services: [one], settings: {}, geography: { places: {} }, workers: null, drain: 0 }) as never;

/** What a daemon leaves that has found the first alive, the second dead, and nothing of the third. */
function left(): FoundBook {
  const book = new Book({});
  book.commit(book.stage(config(service([backend(1), backend(2), backend(3)])), 1));
  const verdict = { code: "SLUICE_OK" as never, detail: "", latency: 1, at: 0 };
  book.verdict("web/0", { ...verdict, passed: true });
  book.verdict("web/1", { ...verdict, passed: false });
  return foundBy(book.entries.values());
}

const found = (trusted: boolean, now: Service, book = left()): (boolean | null)[] =>
  now.backends.map((one) => new LastKnown(book, trusted).of(now, one));

test("what was found holds for the same backends and the same check; the dead only where it is trusted", () => {
  const now = service([backend(1), backend(2), backend(3), backend(4)]);
  expect(found(true, now)).toEqual([true, false, null, null]);
  expect(found(false, now)).toEqual([true, null, null, null]);
  expect(found(true, service(now.backends, "/other"))).toEqual([null, null, null, null]);
  expect(found(true, { ...now, check: null })).toEqual([null, null, null, null]);
  expect(found(true, { ...now, name: "other" })).toEqual([null, null, null, null]);
  expect(found(true, service([{ ...backend(1), follows: "other" }]))).toEqual([null]);
});

test("a backend that was dead rises by its check's rule, one never seen by its first verdict", () => {
  const now = service([backend(2), backend(3)]);
  const book = new Book({}, new LastKnown(left(), true));
  book.commit(book.stage(config(now), 1));
  const verdict = { code: "SLUICE_OK" as never, detail: "", latency: 1, at: 0, passed: true };
  for (const id of [0, 1]) book.verdict(`web/${id}`, verdict);
  const states = () => book.entry("web")!.snapshot.backends.map(({ state }) => state);
  expect(states()).toEqual(["down", "up"]);
  book.verdict("web/0", verdict);
  expect(states()).toEqual(["up", "up"]);
});

const notes = (said: string[] = []) =>
  new Notes(instance, () => ({ found: left(), words: {} }), {
    unreadable: () => said.push("unreadable"),
    unwritten: (why) => said.push((why as { code: string }).code),
  });

test("what is written down is read again, and is trusted while it is young", () => {
  const first = notes();
  expect(first.trusted({ remembered: 60_000 }, Date.now())).toBe(false);
  first.kept.revision = 7;
  first.write();
  const { at } = first.kept;
  const next = notes();
  expect(next.kept).toEqual(first.kept);
  expect(next.kept.epoch).toBeWithin(at / 1000 - 60, at / 1000 + 1);
  expect(next.trusted(undefined, at)).toBe(false);
  expect([at, at + 60_000, at + 60_001, at - 1].map((now) => next.trusted({ remembered: 60_000 }, now))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("what cannot be read is said, and nothing of it is taken", () => {
  const said: string[] = [];
  expect(notes(said).kept).toMatchObject({ revision: 0, ids: {}, found: {}, at: 0 });
  expect(said).toEqual([]);
  for (const text of ["", "{", "[]", "{}", '{"revision":"1"}', '{"revision":3,"seed":1,"ids":{},"found":{"web":1}}']) {
    writeFileSync(join(folder, STATE_FILE), text);
    expect(notes(said).kept).toMatchObject({ revision: 0, ids: {}, found: {}, at: 0 });
  }
  expect(said).toEqual(Array(6).fill("unreadable"));
  writeState(instance, STATE_FILE, { revision: 3, seed: 1, ids: {}, alive: { web: ["10.0.0.1|80"] } });
  expect(notes(said).kept).toMatchObject({ revision: 3, seed: 1, found: {}, words: {}, at: 0 });
});

test("a disk that refuses is said and costs nothing else; what is written next is whole", () => {
  const said: string[] = [];
  const own = notes(said);
  rmSync(folder, { recursive: true });
  own.write();
  expect(said).toEqual(["ENOENT"]);
  mkdirSync(folder);
  own.write();
  expect([said.length, readState<{ at: number }>(instance, STATE_FILE)?.at]).toEqual([1, own.kept.at]);
});

test("a state that is to be trusted is kept young though nothing changes", async () => {
  const own = notes();
  own.follow({ remembered: 1000 });
  const written = () => readState<{ at: number }>(instance, STATE_FILE)?.at;
  while (written() === undefined) await Bun.sleep(20);
  const first = written()!;
  while (written() === first) await Bun.sleep(20);
  own.stop();
  const last = own.kept.at;
  expect(written()).toBe(last);
  expect(last).toBeGreaterThan(first);
});
