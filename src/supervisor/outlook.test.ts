import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import { Book } from "./book.ts";
import { backend, bad, config, good, operatorOf, running, service } from "./book-testing.ts";

test("the outlook: how soon checks could change the snapshot, and a new one when a backend begins to waver", () => {
  const book = running(backend(1), backend(2));
  const outlook = () => book.entry("web")!.snapshot.outlook;
  expect(outlook()).toEqual({ soonest: 0, steady: false });
  for (const id of [1, 2]) book.verdict(`web/${book.entry("web")!.members[id - 1]!.id}`, good);
  expect(outlook()).toEqual({ soonest: 200, steady: true });
  const [first] = book.entry("web")!.members;
  const { generation } = book.entry("web")!.snapshot;
  expect(book.verdict(`web/${first!.id}`, bad)).toBeNull();
  expect(outlook()).toEqual({ soonest: 100, steady: false });
  book.verdict(`web/${first!.id}`, bad);
  expect(book.entry("web")!.snapshot.generation).toBe(generation + 1);
  book.verdict(`web/${first!.id}`, bad);
  expect(outlook()).toEqual({ soonest: 100, steady: true });
  book.commit(book.stage(config(service([backend(1)], false)), 2));
  expect(outlook()).toBeUndefined();
});

describe("the end of an operator's word is foreseen", () => {
  const start = Date.now();
  const at = (ms: number) => setSystemTime(start + ms);
  afterEach(() => void setSystemTime());
  /** What the snapshots say of it, of the services whose snapshots are new since the last time. */
  function foreseen(book: Book) {
    const seen = new Map<string, unknown>();
    const { operator } = operatorOf(book);
    const told = () =>
      [...book.entries.values()].flatMap(({ snapshot }) => {
        const fresh = seen.get(snapshot.service) !== snapshot;
        seen.set(snapshot.service, snapshot);
        return fresh ? [snapshot.outlook?.word ?? null] : [];
      });
    const turn = (ms: number) => {
      at(ms);
      operator.turn(start + ms);
      return told();
    };
    return { operator, told, turn };
  }

  test("in steps of half the time, and no word is left when it is over", () => {
    const book = running(backend(1), backend(2));
    for (const id of [0, 1]) book.verdict(`web/${id}`, good);
    at(0);
    const { operator, told, turn } = foreseen(book);
    expect(told()).toEqual([null]);
    operator.command("web", "10.0.0.1", { admin: "drain", for: 20_000 });
    expect(told()).toEqual([16_000]);
    expect(turn(3000)).toEqual([]);
    expect(turn(3001)).toEqual([8000]);
    expect(turn(10_000)).toEqual([]);
    expect(turn(12_000)).toEqual([4000]);
    expect(turn(18_500)).toEqual([0]);
    expect(turn(19_500)).toEqual([]);
    expect(turn(20_000)).toEqual([null]);
    // Another time for the same word, and a weight, in a service without checks.
    operator.command("web", "10.0.0.1", { weight: 3 });
    told();
    operator.command("web", "10.0.0.1", { weight: 3, for: 5000 });
    expect(told()).toEqual([4000]);
    book.commit(book.stage(config(service([backend(1), backend(2)], false)), 2));
    expect(book.entry("web")!.snapshot.outlook).toEqual({ soonest: null, steady: true, word: 4000 });
  });

  test("of backends of a service that is followed too, wherever it stands in the file", () => {
    const video = { ...service([backend(1)]), name: "video" };
    const names = { ...service([backend(9, { follows: "video" })], false), name: "names" };
    for (const order of [
      [names, video],
      [video, names],
    ]) {
      const book = new Book({});
      book.commit(book.stage(config(...order), 1));
      book.verdict("video/0", good);
      book.follow("video");
      at(0);
      const { operator, told, turn } = foreseen(book);
      told();
      operator.command("video", "10.0.0.1", { admin: "maintenance", for: 20_000 });
      told();
      turn(1000);
      expect(book.entry("names")!.snapshot.outlook?.word).toBe(16_000);
      book.commit(book.stage(config(...order), 2));
      expect(book.entry("names")!.snapshot.outlook?.word).toBe(16_000);
      expect(turn(12_000)).toEqual([4000, 4000]);
    }
  });
});
