import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { BackendState } from "../core/backend.ts";
import { schedulers } from "../schedulers/list.ts";
import { eventually, netnsMissing } from "../system/netns-testing.ts";
import { Choice, control, Limit } from "./generated/layout.ts";
import { setWord } from "./memory.ts";
import type { PlaneService } from "./plane-service.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, FIN, frame, RST, SYN, tcp, udp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";
import { flowsOf } from "./turns.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: schedulers that remember: ${missing}`);
const VIP = "125.12.12.77";
const FIRST = 20;
const weightOf = (id: number): number => 1 + (id % 3);

type Name = "round-robin" | "weighted-round-robin" | "least-connections";
const serviceOf = (scheduler: string, states: ReadonlyMap<number, BackendState>, idle?: PlaneService["idle"]) => ({
  ...testService(
    "web",
    (["tcp", "udp"] as const).map((protocol) => ({ address: VIP, port: 80, protocol })),
    [...states].map(([id, state]) => ({
      ...testBackend(id, `125.12.12.${FIRST + id}`, null, state),
      weight: weightOf(id),
    })),
  ),
  scheduler: { name: scheduler, options: {} },
  slots: 251,
  ...(idle ? { idle } : {}),
});

interface Flow {
  port: number;
  isn: number;
  sent: number;
  backend: number;
  open: boolean;
}

/** The plain specification, beside the real program: who has which flow, and how many each has. */
class World {
  readonly states = new Map<number, BackendState>([1, 2, 3].map((id) => [id, "up"]));
  readonly flows: Flow[] = [];
  readonly bench: Bench;
  readonly scheduler: Name;
  #port: number;

  constructor(bench: Bench, scheduler: Name, port: number) {
    this.bench = bench;
    this.scheduler = scheduler;
    this.#port = port;
    bench.plane.commit("direct", []);
    this.commit();
  }

  commit(): void {
    this.bench.commit("direct", serviceOf(this.scheduler, this.states));
  }

  get eligible(): number[] {
    return [...this.states].flatMap(([id, state]) => (state === "up" ? [id] : []));
  }

  send(port: number, flags: number, sequence: number): number | null {
    const packet = tcp({ source: "202.20.20.20", target: VIP }, { sourcePort: port, targetPort: 80 }, flags, sequence);
    const { verdict, output } = this.bench.run(frame(mac.gateway, mac.director, packet));
    return verdict === "tx" ? output[5]! - FIRST : null;
  }

  openOf(id: number): number {
    return this.flows.filter(({ backend, open }) => open && backend === id).length;
  }

  open(): Flow {
    const port = this.#port++;
    const isn = (port * 2654435761) >>> 0;
    const costs = new Map(this.eligible.map((id) => [id, this.openOf(id) / weightOf(id)]));
    const backend = this.send(port, SYN, isn)!;
    expect(this.eligible).toContain(backend);
    if (this.scheduler === "least-connections") expect(costs.get(backend)!).toBe(Math.min(...costs.values()));
    expect(this.send(port, SYN, isn)).toBe(backend);
    const flow = { port, isn, sent: 1, backend, open: true };
    this.flows.push(flow);
    this.speak(flow);
    return flow;
  }

  speak(flow: Flow | undefined, flags = ACK): void {
    if (!flow) return;
    expect(this.send(flow.port, flags, (flow.isn + flow.sent) >>> 0)).toBe(flow.backend);
    flow.sent += 1000;
  }

  close(flow: Flow | undefined, flags: number): void {
    if (!flow) return;
    this.speak(flow, flags | ACK);
    flow.open = false;
    // The rest of the conversation goes where the flow was, and takes nothing from the count once more.
    this.speak(flow);
    this.speak(flow, flags | ACK);
  }

  set(id: number, state: BackendState | null): void {
    if (state === null) this.states.delete(id);
    else this.states.set(id, state);
    if (this.eligible.length === 0) this.states.set(id, "up");
    this.commit();
  }

  /** What the kernel counts is what the specification says. */
  check(): void {
    for (const flow of this.flows) this.speak(flow);
    for (const { id, number } of this.bench.plane.mustHave("direct", "web").locals.values())
      if (id !== null) expect(flowsOf(this.bench.plane.memory, number).active).toBe(this.openOf(id));
  }
}

describe.skipIf(missing !== null)("schedulers that remember every flow", () => {
  let bench: Bench;
  let history = 0;
  beforeAll(async () => {
    bench = await Bench.create("direct", serviceOf("round-robin", new Map([[1, "up"]])));
  }, patience(60_000));
  afterAll(() => bench?.close());
  const world = (name: Name): World => new World(bench, name, 1024 + (history++ % 120) * 500);
  const flowMask = (mask: number): void => setWord(bench.plane.memory.control_words, 0, control.flowMask, mask);

  const id = fc.integer({ min: 1, max: 5 });
  const action = fc.oneof(
    { weight: 8, arbitrary: fc.constant({ do: "open" as const }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("speak" as const), i: fc.nat(100) }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant("close" as const), i: fc.nat(100), by: fc.constantFrom(FIN, RST) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("set" as const),
        id,
        state: fc.constantFrom("up" as const, "draining" as const, null),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ do: "age" as const }) },
  );
  for (const name of ["round-robin", "weighted-round-robin", "least-connections"] as const)
    test(
      `${name}: no history of changes moves a flow, and the counts are those of the plain rules`,
      () => {
        const property = fc.property(fc.array(action, { minLength: 5, maxLength: 40 }), (actions) => {
          const w = world(name);
          for (let i = 0; i < 12; i++) w.open();
          for (const step of actions) {
            if (step.do === "open") w.open();
            else if (step.do === "speak") w.speak(w.flows[step.i % w.flows.length]);
            else if (step.do === "close") w.close(w.flows[step.i % w.flows.length], step.by);
            else if (step.do === "age") w.bench.plane.settleRound(performance.now() + 3_600_000);
            else w.set(step.id, step.state);
          }
          w.check();
        });
        fc.assert(property, { numRuns: 20 });
      },
      patience(60_000),
    );

  test("turns are taken in order, by weight, and go on where they were after a change", () => {
    const plain = world("round-robin");
    expect(Array.from({ length: 7 }, () => plain.open().backend)).toEqual([1, 2, 3, 1, 2, 3, 1]);
    plain.set(2, "draining");
    expect(Array.from({ length: 3 }, () => plain.open().backend)).toEqual([3, 1, 3]);
    const weighted = world("weighted-round-robin");
    const round = Array.from({ length: 12 }, () => weighted.open().backend);
    // Weights 2, 3, 1: two rounds of six.
    expect([1, 2, 3].map((one) => round.filter((backend) => backend === one).length)).toEqual([4, 6, 2]);
    expect(round.slice(6)).toEqual(round.slice(0, 6));
  });

  test("while the table is full flows go by their slot, and stay there", () => {
    const w = world("round-robin");
    const full = bench.plane.mustHave("direct", "web");
    flowMask(0);
    try {
      const held = Array.from({ length: Limit.FLOW_WAYS }, () => w.open());
      const ports = Array.from({ length: 60 }, (_, i) => 50_000 + i);
      const first = ports.map((port) => w.send(port, SYN, 1));
      expect(new Set(first)).toEqual(new Set([1, 2, 3]));
      expect(full.withoutRoom).toBe(ports.length);
      expect(ports.map((port) => w.send(port, SYN, 1))).toEqual(first);
      expect(ports.map((port) => w.send(port, ACK, 2))).toEqual(first);
      // Also those keep their backend when the set changes: by the windows of their slots. The four held ones have cells.
      for (const flow of held) w.speak(flow);
      expect(w.bench.drops("direct", "web")).toEqual({});
    } finally {
      flowMask(Limit.FLOW_BUCKETS - 1);
    }
  });

  test(
    "silent flows leave the count when their time is over, TCP and UDP",
    async () => {
      bench.plane.commit("direct", []);
      const w = world("least-connections");
      bench.commit("direct", serviceOf("least-connections", w.states, { tcp: 1000, udp: 1000 }));
      const state = bench.plane.mustHave("direct", "web");
      const active = (): number =>
        [...state.locals.values()].reduce((sum, { number }) => sum + flowsOf(bench.plane.memory, number).active, 0);
      for (let i = 0; i < 6; i++) w.open();
      const datagram = (port: number): number => {
        const packet = udp({ source: "202.20.20.20", target: VIP }, { sourcePort: port, targetPort: 80 }, [1]);
        return bench.run(frame(mac.gateway, mac.director, packet)).output[5]! - FIRST;
      };
      const spread = [1, 2, 3, 4, 5, 6].map((i) => datagram(40_000 + i));
      expect([1, 2, 3, 4, 5, 6].map((i) => datagram(40_000 + i))).toEqual(spread);
      // 12 flows on weights 2, 3, 1.
      expect([1, 2, 3].map((one) => spread.filter((who) => who === one).length + w.openOf(one))).toEqual([4, 6, 2]);
      expect(active()).toBe(12);
      const ended = await eventually(() => {
        bench.plane.settleRound();
        return active() === 0;
      }, patience(15_000));
      expect(ended).toBe(true);
    },
    patience(20_000),
  );

  test("a service may begin to remember, and stop, without moving a flow", () => {
    const w = world("round-robin");
    bench.commit("direct", serviceOf("maglev", w.states));
    const ports = Array.from({ length: 60 }, (_, i) => 45_000 + i);
    const before = ports.map((port) => w.send(port, ACK, 1));
    w.commit();
    expect(ports.map((port) => w.send(port, ACK, 2))).toEqual(before);
    for (let i = 0; i < 30; i++) w.open();
    w.check();
    bench.commit("direct", serviceOf("maglev", w.states));
    for (const flow of w.flows) w.speak(flow);
    bench.plane.settleRound(performance.now() + 3_600_000);
    for (const flow of w.flows) w.speak(flow);
    expect(ports.map((port) => w.send(port, ACK, 3))).toEqual(before);
  });

  test("every scheduler's number is one of the program's", () => {
    const known = new Map(schedulers.flatMap((one) => (one.kernelId === undefined ? [] : [[one.name, one.kernelId]])));
    expect(Object.fromEntries(known)).toEqual({
      "round-robin": Choice.CHOICE_TURN,
      "weighted-round-robin": Choice.CHOICE_TURN,
      "least-connections": Choice.CHOICE_LEAST,
    });
  });
});
