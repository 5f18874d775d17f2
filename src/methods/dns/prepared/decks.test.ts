import { describe, expect, test } from "bun:test";
import { AddressSet } from "../address-set.ts";
import type { ServiceAnswers } from "../service-answers.ts";
import { Arena } from "./arena.ts";
import { Decks, State } from "./decks.ts";

const addresses = (count: number): AddressSet =>
  new AddressSet(
    Array.from({ length: count }, (_, id) => ({ id, address: `192.0.2.${id}` })),
    30,
    count,
  );

/** A service with four addresses whose orders begin one further each time; `round`: after how many they are known to come again. */
function aService(round = Number.POSITIVE_INFINITY) {
  const counts: number[] = [];
  const state = { orders: 0, counts, marked: 0, round };
  const service = {
    v4: addresses(4),
    v6: addresses(0),
    rule: "steered",
    ahead: true,
    onChange: null as (() => void) | null,
    refresh() {},
    order: () => {
      const start = state.orders++;
      return [0, 1, 2, 3].map((i) => (start + i) % 4);
    },
    mark: () => {
      state.marked = state.orders;
    },
    returned: () => (state.orders - state.marked) % state.round === 0,
    counted: (first: number, questions: number) => {
      for (let i = 0; i < questions; i++) counts.push(first);
    },
  };
  return { service, state, answers: service as unknown as ServiceAnswers };
}

function someDecks() {
  const waiting: (() => void)[] = [];
  const arena = new Arena();
  const decks = new Decks(arena, (call) => waiting.push(call));
  const out = new DataView(new ArrayBuffer(256));
  /** Last octets of the addresses of the next answer. */
  const deal = (deck: number, count = 4): number[] => {
    decks.deal(deck, out, 3);
    return Array.from({ length: count }, (_, i) => out.getUint8(3 + i * 16 + 15));
  };
  const later = (): void => {
    for (const call of waiting.splice(0)) call();
  };
  return { arena, decks, deal, later, waiting };
}

describe("orders drawn ahead", () => {
  test("are those that would have been drawn one by one, in the same order", () => {
    const { decks, deal } = someDecks();
    const deck = decks.of(aService().answers, false);
    expect(decks.renew(deck)).toBe(State.DRAWN);
    for (let i = 0; i < 200; i++) expect(deal(deck)).toEqual([0, 1, 2, 3].map((j) => (i + j) % 4));
  });

  test("are few for a name that is asked for seldom", () => {
    const { decks, deal } = someDecks();
    const { answers, state } = aService();
    const deck = decks.of(answers, false);
    decks.renew(deck);
    const ahead = Array.from({ length: 40 }, (_, i) => {
      deal(deck);
      return state.orders - i - 1;
    });
    expect(ahead[0]).toBe(0);
    expect(Math.max(...ahead)).toBeLessThan(16);
  });

  test("are thrown away with a change, and the new set may be larger than the old one", () => {
    const { decks, deal } = someDecks();
    const { service, answers } = aService();
    const [deck, other] = [decks.of(answers, false), decks.of(aService().answers, false)];
    decks.renew(deck);
    decks.renew(other);
    deal(deck);
    deal(other);
    service.v4 = addresses(40);
    service.order = () => Array.from({ length: 40 }, (_, i) => 39 - i);
    service.onChange?.();
    expect(decks.renew(deck)).toBe(State.DRAWN);
    const out = new DataView(new ArrayBuffer(1024));
    decks.deal(deck, out, 0);
    expect(out.getUint8(15)).toBe(39);
    expect(deal(other)).toEqual([1, 2, 3, 0]);
  });
});

test("every answer is counted once, for whom it stood first: in a moment, with a change, or when asked to", () => {
  const { decks, deal, later, waiting } = someDecks();
  const { service, answers, state } = aService();
  const deck = decks.of(answers, false);
  decks.renew(deck);
  const counted = (): number[] => state.counts.splice(0).sort();
  for (let i = 0; i < 5; i++) deal(deck);
  expect(waiting).toHaveLength(1);
  later();
  expect(counted()).toEqual([0, 0, 1, 2, 3]);
  later();
  deal(deck);
  decks.tell();
  expect(counted()).toEqual([1]);
  deal(deck);
  service.onChange?.();
  expect(counted()).toEqual([2]);
  decks.renew(deck);
  later();
  decks.clear();
  expect(counted()).toEqual([]);
});

test("orders that come round are drawn once, and counted as often as they were dealt", () => {
  for (const round of [1, 4, 8, 16]) {
    const { decks, deal, later } = someDecks();
    const { answers, state } = aService(round);
    const deck = decks.of(answers, false);
    decks.renew(deck);
    const expected = new Map<number, number>();
    for (let i = 0; i < 500; i++) {
      const order = [0, 1, 2, 3].map((j) => ((i % round) + j) % 4);
      expect(deal(deck)).toEqual(order);
      expected.set(order[0]!, (expected.get(order[0]!) ?? 0) + 1);
      if (i % 37 === 0) later();
    }
    later();
    expect(state.orders).toBeLessThan(48);
    expect(new Map(state.counts.toSorted().map((id) => [id, state.counts.filter((c) => c === id).length]))).toEqual(
      expected,
    );
  }
});

test("of very many decks some are counted at a time, in the end all", () => {
  const { decks, deal, later, waiting } = someDecks();
  const services = Array.from({ length: 3000 }, () => aService(4));
  const places = services.map(({ answers }) => decks.of(answers, false));
  for (const place of places) decks.renew(place);
  for (let i = 0; i < 3; i++) for (const place of places) deal(place);
  const told = (): number => services.reduce((sum, { state }) => sum + state.counts.length, 0);
  const before = told();
  later();
  expect(told()).toBeGreaterThan(before);
  expect(told()).toBeLessThan(before + 1000);
  while (waiting.length > 0) later();
  for (const { state } of services) expect(state.counts.toSorted()).toEqual([0, 1, 2]);
});

test("without addresses it depends on the service whether that is an answer", () => {
  const { decks } = someDecks();
  const { service, answers } = aService();
  expect(decks.renew(decks.of(answers, true))).toBe(State.NONE);
  service.rule = "servfail";
  expect(decks.renew(decks.of(answers, true))).toBe(State.ANSWERER);
  service.rule = "rotated";
  expect(decks.renew(decks.of(answers, false))).toBe(State.ANSWERER);
  service.rule = "steered";
  service.ahead = false;
  expect(decks.renew(decks.of(answers, false))).toBe(State.ANSWERER);
});
