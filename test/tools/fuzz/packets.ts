import type { Code } from "../../../src/core/codes.ts";
import { testBackend, testService } from "../../../src/dataplane/testing/doors.ts";
import { Bench } from "../../../src/dataplane/testing/fixtures.ts";
import { xdpMissing } from "../../../src/dataplane/testing/network.ts";
import { netnsMissing } from "../../../src/system/netns-testing.ts";
import { Judge } from "./packets/judge.ts";
import { makeFrame } from "./packets/make.ts";
import { type Expected, Model } from "./packets/model.ts";
import { directorMac, type Method, MTU, PORT, type World, worlds } from "./packets/world.ts";
import { eachInput, Fault, type FuzzRun, type FuzzTarget, type Random } from "./target.ts";

const METHODS: Method[] = ["direct", "tunnel", "nat"];

/** Inputs between two signs of life: without one for ten seconds the program asks the kernel for every way. */
const BEAT = 250;

const serviceOf = (world: World) => ({
  ...testService(
    world.name,
    (["tcp", "udp"] as const).map((protocol) => ({ address: world.vip, port: PORT, protocol })),
    world.backends.map((address, i) =>
      testBackend(i + 1, address, world.method === "nat" ? world.backendPort : null, world.dark ? "down" : "up"),
    ),
  ),
  ...(world.gue ? { guePort: 6080 } : {}),
});

/** The balancer with all methods at once, in a network that the model knows. */
async function createBench(): Promise<Bench> {
  const of = (method: Method) => worlds.filter((world) => world.method === method).map(serviceOf);
  const bench = await Bench.create("direct", of("direct"), MTU);
  for (const method of METHODS.slice(1)) bench.commit(method, of(method), MTU);
  return bench;
}

/** Every drop is counted once, for its service and by its reason. */
class Drops {
  readonly #bench: Bench;
  readonly #seen = new Map<string, number>();

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  check({ service, reason }: Extract<Expected, { verdict: "drop" }>): void {
    const { method } = worlds.find(({ name }) => name === service)!;
    const before = this.#seen.get(`${service} ${reason}`) ?? 0;
    const count = this.#bench.drops(method, service)[reason as Code] ?? 0;
    this.#seen.set(`${service} ${reason}`, count);
    if (count !== before + 1) throw new Fault(`${reason} of ${service} counted ${count - before} times`);
  }
}

async function run(inputs: number, random: Random): Promise<FuzzRun> {
  const bench = await createBench();
  try {
    const [model, judge, drops] = [new Model(), new Judge(), new Drops(bench)];
    const forUs = Buffer.from(directorMac, "hex");
    let done = 0;
    const one = (input: Buffer): string => {
      if (done++ % BEAT === 0) bench.heartbeat(true);
      const expected = model.expect(input, input.subarray(0, 6).equals(forUs));
      // By turns, for packets of one flow too: both ways must choose alike.
      if (done % 2 === 0) bench.takeLongWay();
      // The model knows no time: no answer is withheld.
      bench.refillErrors();
      const { verdict, output } = bench.run(input);
      const outcome = judge.judge(input, expected, { verdict, output: Buffer.from(output) });
      if (expected.verdict === "drop") drops.check(expected);
      return outcome;
    };
    return bench.inside(() => eachInput(makeFrame, one)(inputs, random));
  } finally {
    bench.close();
  }
}

export const packets: FuzzTarget = {
  summary: "frames through the balancer in the kernel: what leaves is what a plain model of the rules allows",
  missing: () => netnsMissing() ?? xdpMissing(),
  run,
};
