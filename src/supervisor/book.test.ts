import { expect, test } from "bun:test";
import fc from "fast-check";
import type { AgentWord, Verdict } from "../core/check.ts";
import type { BackendConfig, Service } from "../core/service.ts";
import { Book } from "./book.ts";
import { backend, bad, config, eligible, foundAlive, good, operatorOf, running, service } from "./book-testing.ts";

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

test("what an earlier daemon found is void once this one has probed itself, though the backend goes and comes", () => {
  const book = new Book({}, foundAlive(backend(1), backend(2)));
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
