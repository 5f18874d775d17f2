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

/** A service with four addresses whose orders begin one further each time. */
function aService() {
  const counts: number[] = [];
  const state = { orders: 0, counts };
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
    counted: (first: number) => void counts.push(first),
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
  for (let i = 0; i < 5; i++) deal(deck);
  expect(waiting).toHaveLength(1);
  later();
  expect(state.counts).toEqual([0, 1, 2, 3, 0]);
  later();
  deal(deck);
  decks.tell();
  expect(state.counts).toEqual([0, 1, 2, 3, 0, 1]);
  deal(deck);
  service.onChange?.();
  expect(state.counts).toEqual([0, 1, 2, 3, 0, 1, 2]);
  decks.renew(deck);
  later();
  decks.clear();
  expect(state.counts).toHaveLength(7);
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
