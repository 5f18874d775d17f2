import { afterEach, expect, setSystemTime, test } from "bun:test";
import fc from "fast-check";
import { z } from "zod";
import { type HealthRules, healthRules } from "../checks/health-rules.ts";
import type { Verdict } from "../core/check.ts";
import type { Config, Service } from "../core/service.ts";
import { Book } from "./book.ts";
import { inPanic } from "./passive.ts";
import { Watch } from "./watch.ts";

afterEach(() => void setSystemTime());

const good: Verdict = { passed: true, code: "SLUICE_CHECK_OK", detail: "ok", latency: 1 };
const bad: Verdict = { passed: false, code: "SLUICE_CHECK_REFUSED", detail: "connect refused", latency: 1 };

function running(count: number, health: object, checked = false, tierOf = (_i: number): number => 0): Book {
  const service: Service<{ health: HealthRules }> = {
    name: "web",
    method: "proxy",
    listen: [{ address: "127.0.0.1", port: 80, protocol: "tcp" }],
    names: [],
    scheduler: { name: "random", options: {} },
    backends: Array.from({ length: count }, (_, i) => ({
      address: `10.0.0.${i + 1}`,
      port: 80,
      weight: 2,
      tier: tierOf(i),
      tags: [],
      admin: "ready",
    })),
    check: checked ? { kind: "tcp", options: {}, interval: 100, timeout: 50, rise: 1, fall: 1 } : null,
    nearest: false,
    options: { health: z.strictObject(healthRules).parse(health) as HealthRules },
  };
  const config: Config = {
    version: 1,
    services: [service],
    settings: {},
    geography: { places: {} },
    workers: 1,
    log: { level: "info", format: "text" },
    drain: 1000,
  };
  const book = new Book({});
  book.commit(book.stage(config, 1));
  return book;
}
const web = (book: Book) => book.entry("web")!;
const judge = (book: Book, i: number, failures: number, now: number) =>
  book.judge(web(book), web(book).members[i]!, { successes: 0, failures, waited: 0 }, now);

test("a backend whose requests fail is ejected, says why, and comes back", () => {
  const book = running(2, {});
  judge(book, 0, 7, 0); // counts of another that had its number
  expect(judge(book, 0, 11, 10)).toBeNull();
  expect(judge(book, 0, 12, 20)).toMatchObject({
    kind: "backend",
    from: "unchecked",
    to: "down",
    code: "SLUICE_BACKEND_EJECTED",
    detail: "ejected for 10 s: 5 failures in a row",
    eligible: 1,
    of: 2,
  });
  expect(web(book).snapshot.eligible).toEqual([1]);
  expect(web(book).snapshot.backends[0]!.state).toBe("down");
  judge(book, 1, 0, 30);
  expect(judge(book, 1, 50, 40)).toBeNull(); // half of the pool is out already
  expect(judge(book, 0, 12, 9_000)).toBeNull();
  expect(judge(book, 0, 12, 10_020)).toMatchObject({ from: "down", to: "unchecked", detail: "its ejection is over" });
  expect(web(book).snapshot.eligible).toEqual([0, 1]);
  expect(judge(book, 0, 17, 10_030)).toMatchObject({ detail: "ejected for 20 s: 5 failures in a row" });
});

test("a check that rises ends an ejection; a reload keeps it; ejection: false never ejects", () => {
  const book = running(2, {}, true);
  for (const key of ["web/0", "web/1"]) book.verdict(key, good);
  judge(book, 0, 0, 0);
  judge(book, 0, 5, 10);
  expect(web(book).snapshot.eligible).toEqual([1]);
  book.commit(book.stage({ services: [web(book).service] } as Config, 2));
  expect(web(book).snapshot.eligible).toEqual([1]);
  book.verdict("web/0", bad);
  expect(book.verdict("web/0", good)).toMatchObject({ to: "up", eligible: 2 });
  const never = running(2, { ejection: false });
  judge(never, 0, 0, 0);
  expect(judge(never, 0, 500, 10)).toBeNull();
});

test("who came back by its check has a clean sheet: no old failure ejects it again, and the next ejection is longer", () => {
  const book = running(2, {}, true);
  for (const key of ["web/0", "web/1"]) book.verdict(key, good);
  judge(book, 0, 0, 0);
  judge(book, 0, 5, 10);
  book.verdict("web/0", bad);
  judge(book, 0, 7, 20); // were under way
  book.verdict("web/0", good);
  expect(judge(book, 0, 7, 1_000)).toBeNull();
  expect(judge(book, 0, 11, 1_010)).toBeNull();
  expect(judge(book, 0, 12, 1_020)).toMatchObject({ detail: "ejected for 20 s: 5 failures in a row" });
});

test("a revision that ejects nobody any more lets those go that are ejected", () => {
  const book = running(2, {});
  judge(book, 0, 0, 0);
  judge(book, 0, 5, 10);
  const { service } = web(book);
  const options = { health: { ...(service.options as { health: HealthRules }).health, ejection: false } };
  book.commit(book.stage({ services: [{ ...service, options }] } as unknown as Config, 2));
  expect(web(book).snapshot.eligible).toEqual([0, 1]);
});

test("the end of an ejection is no event of a backend that something else keeps out", () => {
  const book = running(2, {});
  judge(book, 0, 0, 0);
  judge(book, 0, 5, 10);
  const member = web(book).members[0]!;
  const say = (is: "maintenance" | "ready") =>
    book.say(web(book), member, { admin: { is, until: null } }, "set by an operator");
  expect(say("maintenance")).toMatchObject({ to: "maintenance" });
  expect(judge(book, 0, 5, 20_000)).toBeNull();
  expect(web(book).snapshot.backends[0]!.state).toBe("maintenance");
});

test("whom an operator puts back gets work at once, as the event says, ejected or not", () => {
  const book = running(2, {});
  judge(book, 0, 0, 0);
  judge(book, 0, 5, 10);
  const member = web(book).members[0]!;
  for (const is of ["drain", "ready"] as const)
    book.say(web(book), member, { admin: { is, until: null } }, "set by an operator");
  expect(web(book).snapshot.backends[0]!.state).toBe("unchecked");
  expect(judge(book, 0, 5, 1_000)).toBeNull();
});

test("a clock that is set back keeps nobody out, or at a part of its weight, for longer than the rules allow", () => {
  const [late, hour] = [10_000_000, 3_600_000];
  setSystemTime(late);
  const book = running(2, { slowStart: "10s" });
  judge(book, 0, 0, late);
  judge(book, 0, 5, late);
  judge(book, 1, 0, late);
  expect(web(book).snapshot.eligible).toEqual([1]);
  setSystemTime(late - hour);
  expect(judge(book, 0, 5, late - hour)).toMatchObject({ detail: "its ejection is over" });
  setSystemTime(late - 2 * hour);
  book.warm(web(book), Date.now());
  setSystemTime(late - 2 * hour + 10_000);
  book.warm(web(book), Date.now());
  expect(web(book).snapshot.backends.map(({ weight }) => weight)).toEqual([2, 2]);
  const tally = { successes: 50, failures: 100, waited: 0 };
  const event = book.judge(web(book), web(book).members[1]!, tally, late - 2 * hour);
  expect(event).toMatchObject({ detail: "ejected for 10 s: 100 of 150 requests failed" });
});

test("panic ends with the rule that made it, and is said to", () => {
  const book = running(4, { panic: 80 }, true);
  for (const id of [0, 1, 2, 3]) book.verdict(`web/${id}`, id < 2 ? good : bad);
  const said: unknown[] = [];
  const tally = () => ({ successes: 0, failures: 0, waited: 0 });
  const watch = new Watch(book, { tally, changed() {}, spread() {}, record: (event) => said.push(event) });
  watch.stop();
  watch.turn(0);
  expect(said).toMatchObject([{ kind: "panic", on: true }]);
  const { service } = web(book);
  const options = { health: { ...(service.options as { health: HealthRules }).health, panic: 0 } };
  book.commit(book.stage({ services: [{ ...service, options }] } as unknown as Config, 2));
  watch.turn(1000);
  expect(said.slice(1)).toMatchObject([{ kind: "panic", on: false, healthy: 2, of: 4 }]);
});

test("the last that could get work is not ejected, whatever keeps the others out", () => {
  const book = running(3, { ejection: { share: 100 } });
  for (const i of [0, 1, 2]) judge(book, i, 0, 0);
  const [, second, third] = web(book).members;
  book.say(web(book), second!, { admin: { is: "maintenance", until: null } }, "set by an operator");
  book.say(web(book), third!, { weight: { is: 0, until: null } }, "set by an operator");
  expect(judge(book, 0, 5, 10)).toBeNull();
  expect(web(book).snapshot.eligible).toEqual([0]);
  book.say(web(book), second!, {}, "set by an operator");
  expect(judge(book, 0, 6, 20)).toMatchObject({ to: "down", eligible: 1 });
});

test("slow start: who comes back grows to its weight; at the daemon's start all have it at once", () => {
  setSystemTime(1_000_000);
  const book = running(2, { slowStart: "10s" }, true);
  for (const key of ["web/0", "web/1"]) book.verdict(key, good);
  const weights = () => web(book).snapshot.backends.map(({ weight }) => weight);
  expect(weights()).toEqual([2, 2]);
  book.verdict("web/0", bad);
  book.verdict("web/0", good);
  expect(weights()).toEqual([2, 20]);
  setSystemTime(1_005_000);
  expect(book.warm(web(book), Date.now())).toBe(true);
  expect(weights()).toEqual([10, 20]);
  setSystemTime(1_010_000);
  expect(book.warm(web(book), Date.now())).toBe(true);
  expect(weights()).toEqual([2, 2]);
  expect(book.warm(web(book), Date.now())).toBe(false);
});

test("slow start leaves nobody without a share, however large the weights beside its own", () => {
  setSystemTime(1_000_000);
  const book = running(2, { slowStart: "10s" }, true);
  book.say(web(book), web(book).members[0]!, { weight: { is: 1, until: null } }, "set by an operator");
  book.say(web(book), web(book).members[1]!, { weight: { is: 65_535, until: null } }, "set by an operator");
  for (const key of ["web/0", "web/1"]) book.verdict(key, good);
  book.verdict("web/0", bad);
  book.verdict("web/0", good);
  expect(web(book).snapshot.backends.map(({ weight }) => weight)).toEqual([1, 65_535]);
  expect(web(book).snapshot.eligible).toEqual([0, 1]);
});

test("no part of a weight is none: who asks for 0%, or is written with 0, gets nothing, warming up or not", () => {
  setSystemTime(1_000_000);
  const book = running(3, { slowStart: "10s" }, true);
  web(book).service.agent = { port: 9000, interval: 1000, timeout: 500 };
  const say = (id: number, percent: number) => {
    book.agentSaid(`web/${id}`, { ...good, said: { percent } });
    book.takeReports();
  };
  const seen = () => [web(book).snapshot.backends.map(({ weight }) => weight), web(book).snapshot.eligible];
  for (const id of [0, 1, 2]) book.verdict(`web/${id}`, good);
  book.say(web(book), web(book).members[2]!, { weight: { is: 0, until: null } }, "set by an operator");
  for (const verdict of [bad, good]) book.verdict("web/0", verdict);
  expect(seen()).toEqual([
    [20, 200, 0],
    [0, 1],
  ]);
  say(0, 0);
  expect(seen()).toEqual([[0, 200, 0], [1]]);
  say(0, 1);
  say(1, 0);
  expect(seen()).toEqual([[1, 0, 0], [0]]);
  // Nobody warms up any more under a revision without slow start, of the same moment too.
  say(0, 50);
  const { service } = web(book);
  const options = { health: { ...(service.options as { health: HealthRules }).health, slowStart: 0 } };
  book.commit(book.stage({ services: [{ ...service, options }] } as unknown as Config, 2));
  expect(seen()).toEqual([[100, 0, 0], [0]]);
});

test("panic: with too few healthy, all that an operator has not taken out get work", () => {
  const book = running(4, { panic: 50 }, true);
  for (const id of [0, 1, 2, 3]) book.verdict(`web/${id}`, good);
  const last = book.named("web", "10.0.0.4:80")[0]!;
  book.say(...last, { admin: { is: "maintenance", until: null } }, "set by an operator");
  book.verdict("web/0", bad);
  expect([web(book).snapshot.eligible, inPanic(web(book).snapshot)]).toEqual([[1, 2], false]);
  book.verdict("web/1", bad);
  expect([web(book).snapshot.eligible, inPanic(web(book).snapshot)]).toEqual([[0, 1, 2], true]);
  book.verdict("web/1", good);
  expect([web(book).snapshot.eligible, inPanic(web(book).snapshot)]).toEqual([[1, 2], false]);
});

test("panic: while another tier has enough that are healthy, nobody who is out gets work", () => {
  const book = running(7, { panic: 50 }, true, (i) => (i < 4 ? 0 : i < 6 ? 1 : 2));
  const now = (...healthy: number[]) => {
    for (const id of [0, 1, 2, 3, 4, 5, 6]) book.verdict(`web/${id}`, healthy.includes(id) ? good : bad);
    const { snapshot } = web(book);
    return [snapshot.eligible, inPanic(snapshot)];
  };
  expect(now(0, 1, 2, 3, 4, 5, 6)).toEqual([[0, 1, 2, 3], false]);
  expect(now(0, 3, 4, 5, 6)).toEqual([[0, 3], false]);
  expect(now(3, 4, 5, 6)).toEqual([[3, 4, 5], false]);
  expect(now(4, 5, 6)).toEqual([[4, 5], false]);
  expect(now(3, 6)).toEqual([[3, 6], false]);
  expect(now(5)).toEqual([[5], false]);
  expect(now(3)).toEqual([[0, 1, 2, 3, 4, 5, 6], true]);
  expect(now()).toEqual([[0, 1, 2, 3, 4, 5, 6], true]);
});

test("panic leaves those out that drain, are in maintenance or have no weight, whoever else is ill", () => {
  const book = running(5, { panic: 100 }, true);
  for (const id of [0, 1, 2, 3, 4]) book.verdict(`web/${id}`, bad);
  const say = (i: number, words: object) => book.say(web(book), web(book).members[i]!, words, "set by an operator");
  expect(web(book).snapshot.eligible).toEqual([0, 1, 2, 3, 4]);
  say(0, { admin: { is: "drain", until: null } });
  expect(web(book).snapshot.eligible).toEqual([1, 2, 3, 4]);
  say(1, { admin: { is: "maintenance", until: null } });
  say(2, { weight: { is: 0, until: null } });
  expect(web(book).snapshot.backends[0]!.state).toBe("down");
  expect(web(book).snapshot.eligible).toEqual([3, 4]);
  book.verdict("web/0", good);
  expect(web(book).snapshot.eligible).toEqual([3, 4]);
  say(3, { weight: { is: 0, until: null } });
  say(4, { weight: { is: 0, until: null } });
  expect([web(book).snapshot.eligible, inPanic(web(book).snapshot)]).toEqual([[], false]);
  say(4, {});
  expect([web(book).snapshot.eligible, inPanic(web(book).snapshot)]).toEqual([[4], true]);
});

test("panic does not doubt what a backend's own agent says of it", () => {
  const book = running(3, { panic: 100 }, true);
  web(book).service.agent = { port: 9000, interval: 1000, timeout: 500 };
  for (const id of [0, 1, 2]) book.verdict(`web/${id}`, bad);
  const say = (id: number, said: object) => book.agentSaid(`web/${id}`, { ...good, said });
  say(0, { up: false });
  say(1, { admin: "drain" });
  book.takeReports();
  expect(web(book).snapshot.eligible).toEqual([2]);
  say(0, { up: true });
  say(1, { admin: "ready" });
  say(2, { up: false });
  book.takeReports();
  expect(web(book).snapshot.eligible).toEqual([0, 1]);
});

test("a backend that answers far later than the pool is ejected, each time for longer", () => {
  const book = running(4, { ejection: { slow: { times: 3 }, volume: 10, window: "1s", time: "10s" } });
  const { members } = web(book);
  const tallies = members.map(() => ({ successes: 0, failures: 0, waited: 0 }));
  let now = 0;
  /** A second in which each backend takes so many ms for each of 20 answers. */
  const second = (...paces: number[]) => {
    now += 1000;
    return [
      ...members.flatMap((member, i) => {
        const { successes, waited } = tallies[i]!;
        tallies[i] = { successes: successes + 20, failures: 0, waited: waited + (paces[i]! * 20) / 1000 };
        return book.judge(web(book), member, tallies[i]!, now) ?? [];
      }),
      ...book.judgePaces(web(book), now),
    ];
  };
  second(1, 1, 1, 1);
  expect(second(20, 25, 30, 99)).toEqual([]); // not above `least`
  expect(second(20, 25, 30, 400)).toMatchObject([
    { backend: "10.0.0.4:80", to: "down", detail: "ejected for 10 s: 400 ms to answer where 25 ms are usual" },
  ]);
  expect(web(book).snapshot.eligible).toEqual([0, 1, 2]);
  for (let i = 0; i < 9; i++) expect(second(20, 25, 30, 400)).toEqual([]);
  expect(second(20, 25, 30, 400)).toMatchObject([{ detail: "its ejection is over" }]);
  expect(second(20, 25, 30, 400)).toMatchObject([{ detail: expect.stringContaining("ejected for 20 s") }]);
  expect(second(400, 400, 400, 400)).toEqual([]); // all slow: that is usual
});

test("any history of failures and times: never more out than the share, and each comes back", () => {
  const step = fc.record({
    member: fc.nat(9),
    ok: fc.nat(30),
    bad: fc.nat(30),
    ms: fc.nat(2000),
    later: fc.nat(3000),
    turn: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 0, max: 100 }), (steps, share) => {
      const rules = { share, slow: { times: 2 }, volume: 5, window: "1s", time: "2s", longest: "8s" };
      const book = running(10, { ejection: rules });
      const tallies = web(book).members.map(() => ({ successes: 0, failures: 0, waited: 0 }));
      let now = 0;
      const turn = () => {
        for (const [i, member] of web(book).members.entries()) book.judge(web(book), member, tallies[i]!, now);
        book.judgePaces(web(book), now);
      };
      turn();
      for (const { member, ok, bad, ms, later, turn: whole } of steps) {
        now += later;
        const { successes, failures, waited } = tallies[member]!;
        tallies[member] = { successes: successes + ok, failures: failures + bad, waited: waited + (ok * ms) / 1000 };
        if (whole) turn();
        else book.judge(web(book), web(book).members[member]!, tallies[member]!, now);
        const out = web(book).members.filter(({ passive }) => passive.ejected !== null);
        expect(out.length * 100).toBeLessThanOrEqual(share * 10);
        expect(web(book).snapshot.eligible.length).toBe(10 - out.length);
        for (const { passive } of out) expect(passive.failures!.until! - now).toBeLessThanOrEqual(8000);
      }
      // Who failed but found the share used up is ejected as soon as another is back: at worst one after the other.
      for (let i = 0; i < 12; i++) {
        now += 8000;
        turn();
      }
      expect(web(book).snapshot.eligible.length).toBe(10);
    }),
  );
});
