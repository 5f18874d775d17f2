import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Type } from "../../../protocols/dns/numbers.ts";
import { parseMessage } from "../../../protocols/dns/testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "../testing.ts";
import { SigningAhead } from "./ahead.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-ahead-"));
afterAll(() => rmSync(folder, { recursive: true }));

const backends = [1, 2, 3].map((i) => aBackend(i, `192.0.2.${i}`));
const configured = backends.map((one) => ({ ...one, admin: "ready" as const }));
const services = ["shop", "news"].map((name) =>
  aService(name, { names: [`${name}.example.com`, `*.${name}.example.com`], backends: configured }),
);
const outlook = { soonest: 20_000, steady: true };
const snapshots = services.map(({ name }) => ({ ...aSnapshot(name, backends), outlook }));
const begin = (most: number) => {
  const server = aServer(services, snapshots, { zones: { "example.com": null }, dnssec: { keys: folder } });
  const ahead = new SigningAhead(server.live, (owner) => server.site.at(owner)?.zone.signing ?? null, most);
  const work = (): void => {
    while (ahead.turn());
    ahead.stop();
  };
  const answer = (name: string) => parseMessage(server.raw(ask({ name, type: "A", edns: 1232, dnssecOk: true })));
  return { server, ahead, work, answer };
};

test("when a backend dies, the answer without it has been signed before", () => {
  const { server, ahead, work, answer } = begin(100);
  ahead.renewed();
  work();
  const { made } = server.room!;
  expect(made).toBeGreaterThan(0);
  for (const dead of [1, 2, 3]) {
    const rest = backends.map((one) => (one.id === dead ? { ...one, state: "down" as const } : one));
    server.change({ ...aSnapshot("shop", rest), outlook });
    const types = answer("shop.example.com").answers.map(({ type, rdata }) => [type, rdata.length]);
    expect(types).toEqual([
      [Type.A, 2],
      [Type.RRSIG, 1],
    ]);
  }
  expect(server.room!.made).toBe(made);
  // Two are dead: that was not foreseen from the beginning, but is once the first one has died.
  const two = backends.map((one) => (one.id === 2 ? one : { ...one, state: "down" as const }));
  ahead.changed("shop");
  work();
  const next = server.room!.made;
  expect(next).toBeGreaterThan(made);
  server.change({ ...aSnapshot("shop", two), outlook });
  answer("shop.example.com");
  expect(server.room!.made).toBe(next);
});

test("of groups too: the first answer of another group, for each place, has been signed before", () => {
  const tagged = [1, 2, 3, 4].map((i) => aBackend(i, `192.0.2.${i}`, { tags: [i < 3 ? "east" : "west"] }));
  const steer = { by: "nearest", groups: ["east", "west"] };
  const service = aService("shop", {
    dns: { steer, upThreshold: 60 },
    backends: tagged.map((one) => ({ ...one, admin: "ready" })),
  });
  const places = { east: { networks: ["198.51.100.0/24"], next: ["west"] }, west: { networks: ["203.0.113.0/24"] } };
  const more = { zones: { "example.com": null }, dnssec: { keys: folder }, places };
  const server = aServer([service], [{ ...aSnapshot("shop", tagged), outlook }], more);
  const ahead = new SigningAhead(server.live, (owner) => server.site.at(owner)?.zone.signing ?? null, 100);
  ahead.renewed();
  while (ahead.turn());
  ahead.stop();
  const { made } = server.room!;
  const given = (client: string) =>
    parseMessage(server.raw(ask({ name: "shop.example.com", edns: 1232, dnssecOk: true }), client)).answers.map(
      ({ rdata }) => rdata.length,
    );
  for (const dead of [null, 1, 2, 3, 4]) {
    const rest = tagged.map((one) => (one.id === dead ? { ...one, state: "down" as const } : one));
    server.change({ ...aSnapshot("shop", rest), outlook });
    for (const client of ["198.51.100.7", "203.0.113.7", "10.0.0.1"]) expect(given(client)).toEqual([2, 1]);
  }
  expect(server.room!.made).toBe(made);
});

test("a change that comes while a service's sets are signed: those of now are the next ones", () => {
  const many = Array.from({ length: 20 }, (_, i) => aBackend(i, `192.0.2.${i}`));
  const service = aService("shop", { backends: many.map((one) => ({ ...one, admin: "ready" })) });
  const more = { zones: { "example.com": null }, dnssec: { keys: folder } };
  const server = aServer([service], [{ ...aSnapshot("shop", many), outlook }], more);
  const ahead = new SigningAhead(server.live, (owner) => server.site.at(owner)?.zone.signing ?? null, 100);
  ahead.changed("shop");
  ahead.turn();
  const rest = many.map((one) => (one.id === 2 ? one : { ...one, state: "down" as const }));
  server.change({ ...aSnapshot("shop", rest), outlook });
  ahead.changed("shop");
  ahead.turn();
  ahead.stop();
  const { made } = server.room!;
  const { answers } = parseMessage(server.raw(ask({ name: "shop.example.com", edns: 1232, dnssecOk: true })));
  expect(answers.map(({ rdata }) => rdata.length)).toEqual([1, 1]);
  expect(server.room!.made).toBe(made);
});

test("a turn looks at some sets only, also when all of them have been signed", () => {
  const many = Array.from({ length: 40 }, (_, i) => `n${i}.shop.example.com`);
  const server = aServer([aService("shop", { names: many, backends: configured })], [snapshots[0]!], {
    zones: { "example.com": null },
    dnssec: { keys: folder },
  });
  const looked: number[] = [];
  const signing = server.site.zones[0]!.signing!;
  const signAhead = signing.signAhead.bind(signing);
  let looks = 0;
  signing.signAhead = (set) => {
    looks++;
    return signAhead(set);
  };
  const ahead = new SigningAhead(server.live, () => signing, 1000);
  const turns = (): void => {
    for (let more = true; more; looked.push(looks)) {
      looks = 0;
      more = ahead.turn();
    }
  };
  for (let again = 0; again < 2; again++) {
    ahead.renewed();
    turns();
  }
  ahead.stop();
  expect(looked.reduce((sum, count) => sum + count)).toBe(2 * 4 * many.length);
  expect(Math.max(...looked)).toBeLessThanOrEqual(50);
});

test("what is signed once is not signed again, and what does not fit waits until it is asked for", () => {
  const { server, ahead, work, answer } = begin(services[0]!.names.length * 2 * (1 + backends.length));
  ahead.renewed();
  work();
  const { made } = server.room!;
  ahead.renewed();
  work();
  expect(server.room!.made).toBe(made);
  answer("shop.example.com");
  expect(server.room!.made).toBe(made);
  answer("news.example.com");
  expect(server.room!.made).toBe(made + 1);
});
