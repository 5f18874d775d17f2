import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import fc from "fast-check";
import type { AgentWord, Verdict } from "../core/check.ts";
import type { EventBody } from "../core/event.ts";
import type { BackendConfig, Config, Service } from "../core/service.ts";
import { Book } from "./book.ts";
import { Operator } from "./operator.ts";

const backend = (n: number, more: Partial<BackendConfig> = {}): BackendConfig => ({
  address: `10.0.0.${n}`,
  port: 80,
  weight: 1,
  tier: 0,
  tags: [],
  admin: "ready",
  ...more,
});
const service = (backends: BackendConfig[], check = true): Service => ({
  name: "web",
  method: "proxy",
  listen: [{ address: "127.0.0.1", port: 80, protocol: "tcp" }],
  names: [],
  scheduler: { name: "random", options: {} },
  backends,
  check: check ? { kind: "tcp", options: {}, interval: 100, timeout: 50, rise: 2, fall: 3 } : null,
  nearest: false,
  options: {},
});
const config = (...services: Service[]): Config => ({
  version: 1,
  services,
  settings: {},
  geography: { places: {} },
  workers: 1,
  log: { level: "info", format: "text" },
  drain: 1000,
});
const good: Verdict = { passed: true, code: "SLUICE_CHECK_OK", detail: "ok", latency: 1 };
const bad: Verdict = { passed: false, code: "SLUICE_CHECK_REFUSED", detail: "connect refused", latency: 1 };

function running(...backends: BackendConfig[]): Book {
  const book = new Book({});
  book.commit(book.stage(config(service(backends)), 1));
  return book;
}
/** An operator of this book; what it tells the rest of the daemon. */
function operatorOf(book: Book) {
  const events: EventBody[] = [];
  const operator = new Operator(book, { changed: (event) => events.push(event), spread() {}, done() {} });
  operator.stop();
  return { operator, events };
}
const eligible = (book: Book) => book.entry("web")!.snapshot.eligible;

test("a checked backend gets work from its first good verdict, and loses it after `fall` bad ones", () => {
  const book = running(backend(1), backend(2));
  expect(eligible(book)).toEqual([]);
  expect(book.verdict("web/0", good)).toMatchObject({ kind: "backend", to: "up", eligible: 1, of: 2 });
  book.verdict("web/0", bad);
  book.verdict("web/0", bad);
  expect(eligible(book)).toEqual([0]);
  expect(book.verdict("web/0", bad)).toMatchObject({ to: "down", progress: { count: 3, of: 3 }, eligible: 0 });
});

test("a new revision keeps number and health of the backends that stay", () => {
  const book = running(backend(1), backend(2));
  book.verdict("web/1", good);
  const staged = book.stage(config(service([backend(3), backend(2)])), 2);
  expect(eligible(book)).toEqual([1]);
  book.commit(staged);
  expect(book.entry("web")!.snapshot).toMatchObject({ revision: 2, eligible: [1] });
  expect(book.entry("web")!.members.map(({ id, health }) => [id, health.state])).toEqual([
    [2, "down"],
    [1, "up"],
  ]);
});

test("a check of another kind, or the first one, leaves in service who serves until it says otherwise", () => {
  const book = running(backend(1), backend(2));
  book.verdict("web/0", good);
  book.verdict("web/1", bad);
  const under = (check: Service["check"]): number[] => {
    book.commit(book.stage(config({ ...service([backend(1), backend(2)]), check }), 2));
    return [...eligible(book)];
  };
  const http = { kind: "http", options: {}, interval: 100, timeout: 50, rise: 2, fall: 2 };
  expect(under(http)).toEqual([0]);
  book.verdict("web/1", good);
  expect([...eligible(book)]).toEqual([0, 1]);
  for (let i = 0; i < http.fall; i++) book.verdict("web/0", bad);
  expect([...eligible(book)]).toEqual([1]);
  expect(under(null)).toEqual([0, 1]);
  expect(under(http)).toEqual([0, 1]);
});

test("backends that are all others serve once their successors have been probed, no sooner gone and no longer there", () => {
  const book = running(backend(1), backend(2));
  book.verdict("web/0", good);
  book.verdict("web/1", bad);
  const renew = (...backends: BackendConfig[]) => book.commit(book.stage(config(service(backends)), 2));
  renew(backend(3), backend(4));
  expect([...eligible(book)]).toEqual([0]);
  book.verdict("web/2", good);
  expect([...eligible(book)]).toEqual([0, 2]);
  expect(book.dismiss().map(({ snapshot }) => snapshot.eligible)).toEqual([[2]]);
  expect(book.dismiss()).toEqual([]);
  // Who stays and serves is enough: nobody has to wait.
  renew(backend(4), backend(5));
  renew(backend(3), backend(6));
  expect(book.dismiss()).toEqual([]);
});

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

test("the next daemon knows what was said, but for what has ended and what the file says otherwise now", () => {
  const before = running(backend(1), backend(2), backend(3), backend(4));
  const { operator } = operatorOf(before);
  operator.command("web", "10.0.0.1:80", { admin: "maintenance" });
  operator.command("web", "10.0.0.2:80", { weight: 9, for: 3_600_000 });
  operator.command("web", "10.0.0.3:80", { admin: "drain" });
  const said = JSON.parse(JSON.stringify(operator.said));
  said.web["10.0.0.4|80"] = { admin: { is: "drain", until: Date.now() - 1 }, written: { admin: "ready", weight: 1 } };
  const book = new Book({}, (_, { address }) => (address === "10.0.0.1" ? null : true), said);
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
  const book = new Book({}, () => null, before);
  book.commit(book.stage(config(service([backend(1), backend(2)], false)), 1));
  expect(eligible(book)).toEqual([1]);
  operatorOf(book).operator.command("web", "10.0.0.1:80", { admin: "ready" });
  expect(eligible(book)).toEqual([0, 1]);
  book.commit(book.stage(config(service([backend(2)], false)), 2));
  book.commit(book.stage(config(service([backend(1), backend(2)], false)), 3));
  expect(eligible(book)).toHaveLength(2);
});

test("what an earlier daemon found is void once this one has probed itself, though the backend goes and comes", () => {
  const book = new Book({}, () => true);
  book.commit(book.stage(config(service([backend(1), backend(2)])), 1));
  expect(eligible(book)).toEqual([0, 1]);
  for (let i = 0; i < 3; i++) book.verdict("web/0", bad);
  book.commit(book.stage(config(service([backend(2)])), 2));
  book.commit(book.stage(config(service([backend(1), backend(2)])), 3));
  expect(eligible(book)).toEqual([1]);
});

test("who chooses by latency gets it smoothed, a new snapshot only when it is another by far; others none", () => {
  const book = new Book({}, undefined, {}, ({ name }) => name === "web");
  book.commit(book.stage(config(service([backend(1)]), { ...service([backend(2)]), name: "other" }), 1));
  const latency = () => book.entry("web")!.snapshot.backends[0]!.latency;
  const answers = (ms: number, times: number) => {
    for (let i = 0; i < times; i++) book.verdict("web/0", { ...good, latency: ms });
  };
  expect(latency()).toBeUndefined();
  answers(10, 1);
  expect(latency()).toBe(10);
  const { generation } = book.entry("web")!.snapshot;
  for (let i = 0; i < 50; i++) answers(i % 2 ? 12 : 8, 1);
  expect(book.entry("web")!.snapshot.generation).toBe(generation);
  answers(100, 1);
  expect(latency()).toBeWithin(19, 23);
  answers(100, 40);
  expect(latency()).toBeWithin(79, 101);
  book.verdict("web/0", { ...bad, latency: 1 });
  expect(latency()).toBeWithin(79, 101);
  book.verdict("other/0", good);
  expect(book.entry("other")!.snapshot.backends[0]!.latency).toBeUndefined();
});

test("a verdict about a backend that is gone is nobody's", () => {
  const book = running(backend(1));
  expect(book.verdict("web/7", good)).toBeNull();
  expect(book.verdict("shop/0", good)).toBeNull();
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

test("a backend that is another service follows it: no probes, down while that one has nobody", () => {
  const video = { ...service([backend(1), backend(2)]), name: "video" };
  const names = { ...service([backend(9, { follows: "video" })], false), name: "names" };
  const book = new Book({});
  book.commit(book.stage(config(names, video), 1));
  const state = () => book.entry("names")!.members[0]!.health.state;
  // It can be another in the time in which all of that one's backends can.
  expect(book.entry("names")!.snapshot.outlook?.soonest).toBeWithin(0, 201);
  const judge = (id: number, verdict: Verdict, times = 3) => {
    for (let i = 0; i < times; i++) book.verdict(`video/${id}`, verdict);
    return book.follow("video");
  };
  expect(state()).toBe("down");
  expect(judge(0, good, 1)).toMatchObject([{ service: "names", from: "down", to: "up", code: "SLUICE_FOLLOWED" }]);
  expect(book.entry("names")!.snapshot.eligible).toEqual([0]);
  expect(judge(1, good, 1)).toEqual([]);
  expect(judge(0, bad)).toEqual([]);
  expect(judge(1, bad)).toMatchObject([{ service: "names", from: "up", to: "down", eligible: 0, of: 1 }]);
  book.commit(book.stage(config(names, { ...video, check: null }), 2));
  expect([state(), book.entry("names")!.snapshot.eligible]).toEqual(["up", [0]]);
});

test("an agent's answer: states at once, weight, limit and load with the next reports; silence changes nothing", () => {
  const asked = {
    ...service([backend(1, { weight: 3 }), backend(2, { weight: 3 })], false),
    agent: { port: 9, interval: 100, timeout: 50 },
  };
  const book = new Book({});
  book.commit(book.stage(config(asked), 1));
  const say = (said: AgentWord, detail = "…") => book.agentSaid("web/0", { ...good, detail, said });
  const first = () => book.entry("web")!.snapshot.backends[0]!;
  expect(book.entry("web")!.snapshot.backends.map(({ weight }) => weight)).toEqual([300, 300]);
  const { generation } = book.entry("web")!.snapshot;
  expect(say({ percent: 50, load: 0.503, limit: 7 })).toBeNull();
  expect(book.entry("web")!.snapshot.generation).toBe(generation);
  expect(book.takeReports()).toEqual([book.entry("web")!]);
  expect(first()).toMatchObject({ weight: 150, load: 0.5, limit: 7, state: "unchecked" });
  say({ load: 0.5 });
  expect(book.takeReports()).toEqual([]);
  expect(say({ admin: "drain" }, "drain (backup)")).toMatchObject({
    from: "unchecked",
    to: "draining",
    code: "SLUICE_AGENT",
    detail: "agent says drain (backup)",
    eligible: 1,
  });
  expect(book.agentSaid("web/0", bad)).toBeNull();
  expect([first().state, first().weight]).toEqual(["draining", 150]);
  expect(say({ admin: "ready", percent: 0, limit: 0 })).toMatchObject({ to: "unchecked" });
  expect([first().weight, first().limit, eligible(book)]).toEqual([0, undefined, [1]]);
  book.commit(book.stage(config({ ...asked, agent: { ...asked.agent, interval: 200 } }), 2));
  expect(first().weight).toBe(0);
  book.commit(book.stage(config(service(asked.backends, false)), 3));
  expect(first()).toMatchObject({ weight: 3, load: null });
});

test("a reported load is forgotten when the agent was silent three times in a row; its other words stand", () => {
  const asked = { ...service([backend(1, { weight: 1 })], false), agent: { port: 9, interval: 100, timeout: 50 } };
  const book = new Book({});
  book.commit(book.stage(config(asked), 1));
  const first = () => book.entry("web")!.snapshot.backends[0]!;
  const say = (said: AgentWord) => book.agentSaid("web/0", { ...good, said });
  const silent = (times: number): void => {
    for (let i = 0; i < times; i++) book.agentSaid("web/0", bad);
  };
  say({ load: 0.7, percent: 50, limit: 3 });
  silent(2);
  say({});
  silent(2);
  book.takeReports();
  expect(first()).toMatchObject({ load: 0.7, weight: 50 });
  silent(1);
  expect(book.takeReports()).toEqual([book.entry("web")!]);
  expect(first()).toMatchObject({ load: null, weight: 50, limit: 3 });
  say({});
  book.takeReports();
  expect(first().load).toBeNull();
});

test("percentages of weights of any size keep their proportions, and a weight that is asked for is never none", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 100 }), (weight, percent) => {
      const asked = {
        ...service([backend(1, { weight }), backend(2, { weight })], false),
        agent: { port: 9, interval: 100, timeout: 50 },
      };
      const book = new Book({});
      book.commit(book.stage(config(asked), 1));
      book.agentSaid("web/0", { ...good, said: { percent } });
      book.takeReports();
      const [first, second] = book.entry("web")!.snapshot.backends.map((b) => b.weight) as [number, number];
      expect(first).toBeGreaterThan(0);
      expect(second).toBeLessThanOrEqual(65_535);
      expect(Math.abs(first / second - percent / 100)).toBeLessThan(0.006);
    }),
  );
});

test("tiers: whoever may get work is of the lowest tier that has somebody, whatever checks and operators do", () => {
  const tiers = [0, 0, 1, 1, 2];
  const step = fc.record({ member: fc.nat(4), what: fc.constantFrom("good", "bad", "ready", "drain", "zero", "one") });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const book = running(...tiers.map((tier, i) => backend(i + 1, { tier })));
      const { operator } = operatorOf(book);
      for (const { member, what } of steps) {
        const name = `10.0.0.${member + 1}:80`;
        if (what === "good" || what === "bad")
          for (let i = 0; i < 3; i++) book.verdict(`web/${member}`, what === "good" ? good : bad);
        else if (what === "zero" || what === "one") operator.command("web", name, { weight: what === "one" ? 1 : 0 });
        else operator.command("web", name, { admin: what as "ready" | "drain" });
        const { backends } = book.entry("web")!.snapshot;
        const able = backends.filter(({ state, weight }) => state === "up" && weight > 0);
        const lowest = Math.min(...able.map(({ tier }) => tier));
        expect(eligible(book)).toEqual(able.filter(({ tier }) => tier === lowest).map(({ id }) => id));
      }
    }),
  );
});

test("a service that a revision leaves as it is keeps its members; what is found while it is staged is not lost", () => {
  const book = running(backend(1), backend(2));
  const before = book.entry("web")!;
  const same = book.stage(config(service([backend(1), backend(2)])), 2);
  expect(same.entries.get("web")!.members).toBe(before.members);
  expect(same.entries.get("web")!.snapshot).toMatchObject({ revision: 2, generation: before.snapshot.generation + 1 });
  book.verdict("web/0", good);
  book.commit(book.stage(config(service([backend(1), backend(2)])), 2));
  expect(eligible(book)).toEqual([0]);
  const other = book.stage(config(service([backend(1), backend(2, { weight: 3 })])), 3).entries.get("web")!;
  expect(other.members).not.toBe(before.members);
  expect(other.snapshot.backends.map(({ weight }) => weight)).toEqual([1, 3]);
});
