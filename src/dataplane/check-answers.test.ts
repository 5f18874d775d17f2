import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ifindexOf } from "../system/net.ts";
import { netnsMissing } from "../system/netns-testing.ts";
import { ControlFlag, control } from "./generated/layout.ts";
import { setWord } from "./memory.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, frame, SYN, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";
import { runFixture } from "./testing/run-fixtures.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: answers to checks: ${missing}`);
const vip = "125.12.12.77";
const director = "125.12.12.12";

describe.skipIf(missing !== null)("answers to checks of a VIP", () => {
  let bench: Bench;
  /** A source port of a check of the one backend. */
  let port = 0;
  beforeAll(async () => {
    const backends = [testBackend(1, "125.12.12.21", null)];
    bench = await Bench.create("direct", testService("web", [{ address: vip, port: 80, protocol: "tcp" }], backends));
    const [one] = [...bench.plane.mustHave("direct", "web").locals.values()];
    port = bench.plane.checkPorts.next(one!.number)!;
    setWord(
      bench.plane.memory.control_words,
      0,
      control.checkIfindex,
      bench.inside(() => ifindexOf("eth0")),
    );
    bench.plane.kernel.setFlag(ControlFlag.CONTROL_CHECKS, true);
  }, patience(60_000));
  afterAll(() => bench?.close());

  const answer = (source: string, target: string, targetPort: number) =>
    bench.run(frame(mac.backend, mac.director, tcp({ source, target }, { sourcePort: 80, targetPort }, SYN | ACK)));

  test("go to the checker", () => {
    expect(answer(vip, director, port).verdict).toBe("redirect");
  });

  test("a client whose port is a check's too gets its own answers, where the director is on their way", () => {
    expect(answer(vip, "202.20.20.20", port).verdict).toBe("pass");
  });

  test("nobody's port is none of a check", () => {
    expect(answer(vip, director, port + 1000).verdict).toBe("pass");
  });

  test("a check that a real server sends back is dropped by name, and not balanced once more", () => {
    const returned = tcp({ source: director, target: vip }, { sourcePort: port, targetPort: 80 }, SYN);
    runFixture(bench, "direct", "web", {
      name: "a check that came back",
      input: frame(mac.backend, mac.director, returned),
      verdict: "drop",
      reason: "SLUICE_DROP_CHECK_RETURNED",
    });
  });

  test("what is from no VIP is no answer", () => {
    expect(answer("125.12.12.21", director, port).verdict).toBe("pass");
  });
});
