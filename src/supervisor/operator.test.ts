import { afterEach, expect, setSystemTime, test } from "bun:test";
import { Book } from "./book.ts";
import { backend, config, eligible, foundAlive, good, operatorOf, running, service } from "./book-testing.ts";

afterEach(() => void setSystemTime());

test("an operator's word holds until a revision changes the same thing", () => {
  const book = running(backend(1), backend(2));
  book.verdict("web/0", good);
  book.verdict("web/1", good);
  const { operator, events } = operatorOf(book);
  expect(operator.command("web", "10.0.0.1:80", { admin: "drain" })).toEqual(["web/10.0.0.1:80"]);
  expect(events).toMatchObject([{ to: "draining", eligible: 1 }]);
  book.commit(book.stage(config(service([backend(1), backend(2)])), 2));
  expect(eligible(book)).toEqual([1]);
  book.commit(book.stage(config(service([backend(1, { weight: 5 }), backend(2)])), 3));
  expect(eligible(book)).toEqual([0, 1]);
  expect(operator.command("web", "10.9.9.9:80", { weight: 2 })).toEqual([]);
});

test("a word for a time ends by itself; another word of the backend stays; a tag means all who have it", () => {
  const book = running(backend(1, { tags: ["east"] }), backend(2, { tags: ["east"] }), backend(3));
  for (const id of [0, 1, 2]) book.verdict(`web/${id}`, good);
  const { operator, events } = operatorOf(book);
  operator.command("web", "10.0.0.1", { weight: 7 });
  const said = Date.now();
  expect(operator.commandTag("east", null, { admin: "drain", for: 60_000 })).toEqual([
    "web/10.0.0.1:80",
    "web/10.0.0.2:80",
  ]);
  expect(operator.commandTag("east", "other", { admin: "drain" })).toEqual([]);
  expect(operator.commandTag("west", null, { admin: "drain" })).toEqual([]);
  expect(eligible(book)).toEqual([2]);
  expect(events.map((e) => e.kind === "backend" && e.detail)).toEqual(
    Array(2).fill("set by an operator for the tag east, for 1m"),
  );
  operator.turn(said + 59_000);
  expect(eligible(book)).toEqual([2]);
  operator.turn(said + 61_000);
  expect(eligible(book)).toEqual([0, 1, 2]);
  expect(events.at(-1)).toMatchObject({ from: "draining", to: "up", detail: "the time of an operator's word is over" });
  // Of two words of one backend each ends in its own time.
  operator.command("web", "10.0.0.3", { weight: 5, for: 3000 });
  operator.command("web", "10.0.0.3", { admin: "drain", for: 1000 });
  operator.turn(Date.now() + 2000);
  const third = () => book.entry("web")!.snapshot.backends[2]!;
  expect([third().state, third().weight]).toEqual(["up", 5]);
  operator.turn(Date.now() + 4000);
  expect(third().weight).toBe(1);
  expect(book.entry("web")!.snapshot.backends.map(({ weight }) => weight)).toEqual([7, 1, 1]);
});

test("a word is over in the very millisecond that it was to last until", () => {
  setSystemTime(1_000_000);
  const book = running(backend(1), backend(2));
  for (const id of [0, 1]) book.verdict(`web/${id}`, good);
  const { operator } = operatorOf(book);
  operator.command("web", "10.0.0.1", { admin: "drain", for: 5000 });
  operator.turn(1_004_999);
  expect(eligible(book)).toEqual([1]);
  operator.turn(1_005_000);
  expect(eligible(book)).toEqual([0, 1]);
});

test("the next daemon knows what was said, but for what has ended and what the file says otherwise now", () => {
  const before = running(backend(1), backend(2), backend(3), backend(4));
  const { operator } = operatorOf(before);
  operator.command("web", "10.0.0.1:80", { admin: "maintenance" });
  operator.command("web", "10.0.0.2:80", { weight: 9, for: 3_600_000 });
  operator.command("web", "10.0.0.3:80", { admin: "drain" });
  const said = JSON.parse(JSON.stringify(operator.said));
  said.web["10.0.0.4|80"] = { admin: { is: "drain", until: Date.now() - 1 }, written: { admin: "ready", weight: 1 } };
  const book = new Book({}, foundAlive(backend(2), backend(3), backend(4)), said);
  book.commit(book.stage(config(service([backend(1), backend(2), backend(3, { weight: 2 }), backend(4)])), 1));
  expect(book.entry("web")!.snapshot.backends.map(({ state, weight }) => [state, weight])).toEqual([
    ["maintenance", 1],
    ["up", 9],
    ["up", 2],
    ["up", 1],
  ]);
});

test("what an earlier daemon was told is void once this one is told otherwise, though the backend goes and comes", () => {
  const words = { admin: { is: "maintenance", until: null } } as const;
  const written = { admin: "ready", weight: 1 } as const;
  const before = { web: { "10.0.0.1|80": { ...words, written } } };
  const book = new Book({}, undefined, before);
  book.commit(book.stage(config(service([backend(1), backend(2)], false)), 1));
  expect(eligible(book)).toEqual([1]);
  operatorOf(book).operator.command("web", "10.0.0.1:80", { admin: "ready" });
  expect(eligible(book)).toEqual([0, 1]);
  book.commit(book.stage(config(service([backend(2)], false)), 2));
  book.commit(book.stage(config(service([backend(1), backend(2)], false)), 3));
  expect(eligible(book)).toHaveLength(2);
});

test("weight zero is not eligible, and a change of weight makes a new snapshot", () => {
  const book = running(backend(1), backend(2));
  book.verdict("web/0", good);
  const { generation } = book.entry("web")!.snapshot;
  const { operator, events } = operatorOf(book);
  operator.command("web", "10.0.0.1:80", { weight: 0 });
  expect(events).toEqual([]);
  expect(book.entry("web")!.snapshot.generation).toBeGreaterThan(generation);
  expect(eligible(book)).toEqual([]);
});
