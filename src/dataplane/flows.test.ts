import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { BackendState } from "../core/backend.ts";
import { now } from "../runtime/clock.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import * as phases from "./phases.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, FIN, frame, icmp, RST, SYN, tcp, udp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: flows over changes: ${missing}`);
const VIP = "125.12.12.77";
const IDS = [1, 2, 3, 4, 5];

/** A service of few slots, so that a change opens many flows' slots. */
const serviceOf = (states: ReadonlyMap<number, BackendState>) => ({
  ...testService(
    "web",
    [
      { address: VIP, port: 80, protocol: "tcp" as const },
      { address: VIP, port: 80, protocol: "udp" as const },
    ],
    [...states].map(([id, state]) => testBackend(id, `125.12.12.${20 + id}`, null, state)),
  ),
  slots: 251,
});

interface Flow {
  port: number;
  isn: number;
  sent: number;
  backend: number;
  datagrams: boolean;
}

/** One history: real packets through the real program, changes by the real supervisor's side. */
class World {
  readonly bench: Bench;
  readonly states = new Map<number, BackendState>();
  readonly flows: Flow[] = [];
  #port: number;

  constructor(bench: Bench, port: number) {
    this.bench = bench;
    this.#port = port;
    for (const id of [1, 2, 3]) this.states.set(id, "up");
    this.commit();
  }

  commit(): void {
    this.bench.commit("direct", serviceOf(this.states));
  }

  /** Where the packet went: the backend's id, or null when it was dropped. */
  send(flow: Pick<Flow, "port">, flags: number, sequence: number): number | null {
    const ports = { sourcePort: flow.port, targetPort: 80 };
    const packet = tcp({ source: "202.20.20.20", target: VIP }, ports, flags, sequence);
    const { verdict, output } = this.bench.run(frame(mac.gateway, mac.director, packet));
    return verdict === "tx" ? output[5]! - 20 : null;
  }

  open(): void {
    const flow = { port: this.#port++, isn: (this.#port * 2654435761) >>> 0, sent: 1, backend: 0, datagrams: false };
    const chosen = this.send(flow, SYN, flow.isn);
    if (chosen === null) return;
    expect(this.states.get(chosen)).toBe("up");
    // A SYN sent again goes where the first one went.
    expect(this.send(flow, SYN, flow.isn)).toBe(chosen);
    this.flows.push({ ...flow, backend: chosen });
    this.speak(this.flows.length - 1);
  }

  /** Where a datagram went, likewise. */
  say(port: number): number | null {
    const packet = udp({ source: "202.20.20.20", target: VIP }, { sourcePort: port, targetPort: 80 }, [1]);
    const { verdict, output } = this.bench.run(frame(mac.gateway, mac.director, packet));
    return verdict === "tx" ? output[5]! - 20 : null;
  }

  /** Where a router's error about a reply to this port went, likewise. */
  tellOf(port: number): number | null {
    const reply = tcp({ source: VIP, target: "202.20.20.20" }, { sourcePort: 80, targetPort: port }, ACK);
    const error = icmp({ source: "198.51.100.1", target: VIP }, 3, 4, [0, 0, 5, 0], reply.slice(0, 28));
    const { verdict, output } = this.bench.run(frame(mac.gateway, mac.director, error));
    return verdict === "tx" ? output[5]! - 20 : null;
  }

  /** New datagrams may still go to the base of an open slot, also when it drains. */
  openDatagrams(): void {
    const port = this.#port++;
    const chosen = this.say(port);
    if (chosen !== null) this.flows.push({ port, isn: 0, sent: 0, backend: chosen, datagrams: true });
  }

  speak(i: number): void {
    const flow = this.flows[i % Math.max(1, this.flows.length)];
    if (!flow) return;
    if (flow.datagrams) {
      expect(this.say(flow.port)).toBe(flow.backend);
      return;
    }
    expect(this.send(flow, ACK, (flow.isn + flow.sent) >>> 0)).toBe(flow.backend);
    flow.sent += 1000;
  }

  everybody(): void {
    this.flows.forEach((_, i) => {
      this.speak(i);
    });
  }

  /** All flows are heard within the idle time, and then it has passed: windows close, and settle where they may. */
  age(): void {
    this.everybody();
    this.bench.plane.settleRound(now() + 3_600_000);
  }

  set(id: number, state: BackendState | null): void {
    if (state === null) this.states.delete(id);
    else this.states.set(id, state);
    if (![...this.states.values()].includes("up")) this.states.set(id, "up");
    this.commit();
  }
}

describe.skipIf(missing !== null)("flows over changes", () => {
  let bench: Bench;
  let history = 0;
  beforeAll(async () => {
    bench = await Bench.create("direct", serviceOf(new Map([[1, "up"]])));
  }, 60_000);
  afterAll(() => bench?.close());

  /** A fresh service for each history: the old one's flows go with it. */
  const world = (): World => {
    bench.plane.commit("direct", []);
    return new World(bench, 1024 + (history++ % 60) * 1000);
  };

  test("no history of additions, removals, drains and recoveries moves an established flow, TCP or UDP", () => {
    const id = fc.constantFrom(...IDS);
    const action = fc.oneof(
      { weight: 6, arbitrary: fc.constant({ do: "open" as const }) },
      { weight: 4, arbitrary: fc.constant({ do: "datagrams" as const }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("speak" as const), i: fc.nat(200) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("up" as const), id }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("draining" as const), id }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), id }) },
      { weight: 2, arbitrary: fc.constant({ do: "age" as const }) },
    );
    const property = fc.property(fc.array(action, { minLength: 5, maxLength: 40 }), (actions) => {
      const w = world();
      for (let i = 0; i < 20; i++) w.open();
      for (let i = 0; i < 10; i++) w.openDatagrams();
      for (const step of actions) {
        if (step.do === "open") w.open();
        else if (step.do === "datagrams") w.openDatagrams();
        else if (step.do === "speak") w.speak(step.i);
        else if (step.do === "age") w.age();
        else w.set(step.id, step.do === "remove" ? null : step.do);
      }
      w.everybody();
    });
    fc.assert(property, { numRuns: 25 });
  }, 60_000);

  test("slots settle again when the flows of before have gone, and drained backends leave", () => {
    const w = world();
    for (let i = 0; i < 60; i++) w.open();
    w.set(1, null);
    w.set(4, "up");
    const state = bench.plane.mustHave("direct", "web");
    expect(state.slots.open).toBeGreaterThan(0);
    w.age();
    expect([...state.locals.values()].filter(({ id }) => id === null)).toHaveLength(1);
    for (const flow of w.flows) w.send(flow, RST, flow.isn + flow.sent);
    // Closed cells live until their idle time has passed: make it pass for all of them.
    bench.plane.commit("direct", []);
    w.flows.length = 0;
    w.commit();
    expect(bench.plane.mustHave("direct", "web").slots.open).toBe(0);
  });

  test("a backend that is down keeps its flows for a few seconds, then they go on to another", () => {
    const w = world();
    for (let i = 0; i < 40; i++) w.open();
    const mine = w.flows.filter(({ backend }) => backend === 1);
    expect(mine.length).toBeGreaterThan(0);
    w.set(1, "down");
    for (const flow of mine) expect(w.send(flow, ACK, flow.isn + 1)).toBe(1);
    expect(w.send({ port: 60_999 }, SYN, 5)).not.toBe(1);
    bench.plane.settleRound(now() + 10_000);
    for (const flow of mine) expect(w.send(flow, ACK, flow.isn + 1)).not.toBe(1);
    for (const flow of w.flows) if (flow.backend !== 1) expect(w.send(flow, ACK, flow.isn + 1)).toBe(flow.backend);
  });

  test("a change of weights alone moves a quarter of the slots at a time, and arrives", () => {
    const w = world();
    const weighted = (weights: readonly number[]) => {
      const service = serviceOf(new Map([1, 2, 3].map((id) => [id, "up"])));
      const backends = service.backends.map((backend, i) => ({ ...backend, weight: weights[i]! }));
      return { ...service, backends };
    };
    bench.commit("direct", weighted([100, 100, 100]));
    const state = bench.plane.mustHave("direct", "web");
    const shares = (): number[] => {
      const counts = [1, 2, 3].map((id) => {
        const local = [...state.locals.values()].find((one) => one.id === id)!.local;
        return state.slots.words.filter((word) => phases.currentOf(word) === local).length;
      });
      return counts.map((count) => count / state.slots.words.length);
    };
    for (let i = 0; i < 40; i++) w.open();
    const quiet = (): void => {
      for (const flow of w.flows.splice(0)) w.send(flow, RST, flow.isn + flow.sent);
    };
    bench.commit("direct", weighted([1, 1, 100]));
    w.everybody();
    expect(state.slots.open / state.slots.words.length).toBeLessThanOrEqual(0.25);
    expect(shares()[2]!).toBeGreaterThan(0.4);
    expect(shares()[2]!).toBeLessThan(0.6);
    quiet();
    bench.plane.commit("direct", []);
    bench.commit("direct", weighted([100, 100, 100]));
    const fresh = bench.plane.mustHave("direct", "web");
    bench.commit("direct", weighted([1, 1, 100]));
    let rounds = 0;
    for (; (fresh.waiting || fresh.slots.open > 0) && rounds < 20; rounds++) bench.plane.settleRound(now() + 3_600_000);
    expect(rounds).toBeGreaterThan(1);
    const local = [...fresh.locals.values()].find((one) => one.id === 3)!.local;
    const share =
      fresh.slots.words.filter((word) => phases.currentOf(word) === local).length / fresh.slots.words.length;
    expect(share).toBeGreaterThan(0.95);
  });

  test("a FIN closes a flow, and the port's next connection is a new one", () => {
    const w = world();
    for (let i = 0; i < 40; i++) w.open();
    w.set(1, "draining");
    const [flow] = w.flows.filter(({ backend }) => backend === 1);
    w.speak(w.flows.indexOf(flow!));
    expect(w.send(flow!, FIN | ACK, flow!.isn + flow!.sent)).toBe(1);
    expect(w.send(flow!, ACK, flow!.isn + flow!.sent + 1)).toBe(1);
    expect(w.send(flow!, SYN, 77)).not.toBe(1);
  });

  test("a SYN forged with the ports of an older, silent flow does not take that flow away", () => {
    const w = world();
    const ports = Array.from({ length: 120 }, (_, i) => 30_000 + i);
    const before = ports.map((port) => w.send({ port }, ACK, 0x7000_0000));
    w.set(4, "up");
    w.set(5, "up");
    const forged = ports.map((port) => w.send({ port }, SYN, 1000));
    expect(forged).not.toEqual(before);
    // The older flow's numbers are not those of the forged handshake: it is known by that.
    expect(ports.map((port) => w.send({ port }, ACK, 0x7000_0000))).toEqual(before);
  });

  test("an error about a flow goes to the backend that has it, also while its slot is open, and leaves nothing behind", () => {
    const w = world();
    const ports = Array.from({ length: 120 }, (_, i) => 33_000 + i);
    const speak = (): (number | null)[] => ports.map((port) => w.send({ port }, ACK, 0x7000_0000));
    const told = (): (number | null)[] => ports.map((port) => w.tellOf(port));
    const before = speak();
    expect(new Set(before)).toEqual(new Set([1, 2, 3]));
    expect(told()).toEqual(before);
    w.set(1, "draining");
    // Of these no packet has come since, and of the others there never was one.
    expect(told()).toEqual(before);
    const fresh = ports.map((port) => port + 1000);
    for (const port of fresh) w.tellOf(port);
    for (const port of fresh) expect(w.send({ port }, SYN, 5)).not.toBe(1);
    // A SYN with a flow's ports does not make it somebody else's.
    for (const port of ports) w.send({ port }, SYN, 1000);
    expect(told()).toEqual(before);
    expect(speak()).toEqual(before);
    expect(told()).toEqual(before);
  });

  test("a UDP flow keeps its backend while it speaks, and leaves one that is down at once", () => {
    const w = world();
    const ask = (port: number): number => {
      const packet = udp({ source: "202.20.20.20", target: VIP }, { sourcePort: port, targetPort: 80 }, [1]);
      return bench.run(frame(mac.gateway, mac.director, packet)).output[5]! - 20;
    };
    const ports = Array.from({ length: 60 }, (_, i) => 20_000 + i);
    const first = ports.map(ask);
    w.set(1, "draining");
    expect(ports.map(ask)).toEqual(first);
    w.set(1, "down");
    ports.forEach((port, i) => {
      if (first[i] === 1) expect(ask(port)).not.toBe(1);
      else expect(ask(port)).toBe(first[i]!);
    });
  });
});
