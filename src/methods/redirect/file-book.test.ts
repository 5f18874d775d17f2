import { expect, test } from "bun:test";
import type { Finding } from "./agree.ts";
import { FileBook, type FileEntry } from "./file-book.ts";

const tick = (): Promise<void> => new Promise((next) => setImmediate(next));
const version = { size: 1, modified: null, digest: null };

/** A book whose questions are answered when the test says so. */
function aBook(rules: Partial<ConstructorParameters<typeof FileBook>[0]> = {}, hosts = [0, 1]) {
  const world = { now: 0, asked: [] as string[], answers: [] as (() => void)[], finding: version as Finding };
  const ask = (id: number, path: string): Promise<Finding> => {
    world.asked.push(`${id} ${path}`);
    return new Promise((resolve) => {
      world.answers.push(() => resolve(path.startsWith("/no") ? "missing" : world.finding));
    });
  };
  const book = new FileBook(
    { fresh: 1000, missing: 100, files: 16, probes: 2, ...rules },
    { hosts: () => hosts, ask, askReference: () => null },
    () => world.now,
  );
  /** Answers all that is asked, and what that leads to. */
  const answer = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) {
      for (const one of world.answers.splice(0)) one();
      await tick();
    }
  };
  const learn = async (path: string): Promise<FileEntry> => {
    const told = new Promise<FileEntry>((settled) => book.ask(path, { settled }));
    await answer();
    return told;
  };
  return { book, world, answer, learn };
}

test("old knowledge serves on while it is asked for again; what was missing is waited for anew", async () => {
  const { book, world, learn, answer } = aBook();
  await learn("/a");
  await learn("/no");
  expect([book.look("/a")!.holders, book.look("/no")!.holders]).toEqual([[0, 1], []]);
  world.now = 500;
  expect(book.look("/a")!.holders).toEqual([0, 1]);
  expect(book.look("/no")).toBeNull();
  expect(world.asked.length).toBe(4);
  world.now = 1500;
  expect(book.look("/a")!.holders).toEqual([0, 1]);
  expect(book.look("/a")!.holders).toEqual([0, 1]);
  await tick();
  expect(world.asked.length).toBe(6);
  await answer();
  expect(book.look("/a")!.until).toBe(2500);
});

test("what is known stays while backends say nothing, and goes when they say that they have it not", async () => {
  const { book, world, learn, answer } = aBook();
  await learn("/a");
  for (const [finding, holders] of [
    ["silent", [0, 1]],
    ["missing", []],
  ] as const) {
    world.finding = finding;
    world.now += 1500;
    book.look("/a");
    await answer();
    expect(book.look("/a")!.holders).toEqual([...holders]);
    expect(book.look("/a")!.until).toBe(world.now + 100);
  }
});

test("bounds: files asked for at a time, files remembered, and made-up names that push out none that exists", async () => {
  const { book, world, learn, answer } = aBook();
  for (let i = 0; i < 5; i++) book.ask(`/${i}`, { settled() {} });
  await tick();
  expect(world.asked.length).toBe(4); // two files at two backends
  await answer();
  expect(world.asked.length).toBe(10);
  for (let i = 0; i < 40; i++) {
    await learn(`/no${i}`);
    // Nor by being asked for once more.
    book.look(`/no${i}`);
  }
  expect([0, 1, 2, 3, 4].every((i) => book.look(`/${i}`) !== null)).toBe(true);
  expect(book.size).toBe(7);
  for (let i = 5; i < 40; i++) {
    await learn(`/${i}`);
    book.look("/0");
  }
  expect(book.size).toBe(18);
  expect([book.look("/0") !== null, book.look("/1")]).toEqual([true, null]);
});

test("many wait for one question; beyond the line nobody is taken", async () => {
  const { book, world, answer } = aBook();
  let told = 0;
  const waiter = () => ({ settled: () => void told++ });
  for (let i = 0; i < 50; i++) expect(book.ask("/a", waiter())).toBe(true);
  const leaving = waiter();
  book.ask("/a", leaving);
  expect(book.leave("/a", leaving)).toBeNull();
  await tick();
  expect(world.asked.length).toBe(2);
  let taken = 0;
  for (let i = 0; i < 1200; i++) if (book.ask(`/x${i}`, waiter())) taken++;
  expect(taken).toBe(1001); // one is asked for beside /a, a thousand wait
  await answer();
  expect(told).toBeGreaterThanOrEqual(50);
});

test("who has left is not told, whatever is found later; who leaves what is settled gets nothing", async () => {
  const { book, learn, answer } = aBook();
  const told: string[] = [];
  const waiter = { settled: ({ path }: FileEntry) => void told.push(path) };
  book.ask("/a", waiter);
  book.leave("/a", waiter);
  book.ask("/b", waiter);
  await answer();
  expect(told).toEqual(["/b"]);
  await learn("/c");
  expect(book.leave("/c", waiter)).toBeNull();
});

test("an entry that leaves early knows what has been found so far", async () => {
  const { book, world } = aBook();
  const waiter = { settled() {} };
  book.ask("/a", waiter);
  await tick();
  world.answers.shift()!();
  await tick();
  expect(book.leave("/a", waiter)!.holders).toEqual([0]);
});
