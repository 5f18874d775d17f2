import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { netnsMissing } from "../system/netns-testing.ts";
import { Explainer } from "./explain.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, frame, SYN, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: explaining flows: ${missing}`);
const VIP = "125.12.12.77";
const VIP6 = "2001:db8:12::77";
const vips = [VIP, VIP6].map((address) => ({ address, port: 80, protocol: "tcp" as const }));
const serviceOf = (lasts: number[]) =>
  testService(
    "web",
    vips,
    lasts.map((last) => testBackend(last, `125.12.12.${last}`, null)),
  );

describe.skipIf(missing !== null)("what would become of a flow", () => {
  let bench: Bench;
  let explainer: Explainer;
  beforeAll(async () => {
    bench = await Bench.create("direct", serviceOf([20, 21, 22]));
    explainer = Explainer.open(bench.plane.kernel.pins.root)!;
  }, patience(60_000));
  afterAll(() => {
    explainer?.close();
    bench?.close();
  });

  const ask = (port: number, begins: boolean, vip = VIP) => {
    const from = { address: vip === VIP ? "202.20.20.20" : "2001:db8:20::20", port };
    const to = { address: vip, port: 80 };
    return bench.netns.inside(() => explainer.ask({ from, to, protocol: "tcp", begins }));
  };
  const send = (port: number, flags: number, vip = VIP): string => {
    const source = vip === VIP ? "202.20.20.20" : "2001:db8:20::20";
    const { output } = bench.run(
      frame(mac.gateway, mac.director, tcp({ source, target: vip }, { sourcePort: port, targetPort: 80 }, flags)),
    );
    return `125.12.12.${output[5]}`;
  };
  const ports = Array.from({ length: 30 }, (_, i) => 40_000 + i);

  test("is what becomes of it, while slots are settled", () => {
    for (const vip of [VIP, VIP6])
      for (const port of ports) {
        const answer = ask(port, true, vip)!;
        expect(answer).toMatchObject({ service: "web", method: "direct", phase: "settled", cell: null });
        expect(answer.backend).toEqual({ address: send(port, SYN, vip), port: 80, state: "up" });
      }
  });

  test("and while they are open, for flows of before and new ones; asking leaves no trace", () => {
    bench.commit("direct", serviceOf([21, 22, 23]));
    const open = ports.filter((port) => ask(port, true)!.phase === "window");
    expect(open.length).toBeGreaterThan(0);
    for (const port of open) {
      expect(ask(port, false)!.cell).toBeNull();
      const answer = ask(port, false)!;
      expect(answer.cell).toBeNull();
      expect(answer.backend!.address).toBe(send(port, ACK));
      expect(ask(port, false)!.cell).toEqual({ backend: expect.any(Number), tentative: false, closed: false });
      expect(ask(port, false)!.backend).toEqual(answer.backend);
    }
    const [fresh] = ports.map((port) => port + 1000).filter((port) => ask(port, true)!.phase === "window");
    const { backend } = ask(fresh!, true)!;
    expect(send(fresh!, SYN)).toBe(backend!.address);
    expect(ask(fresh!, true)!.cell?.tentative).toBe(true);
  });

  test("is said by the server ID in a connection ID of QUIC, and by the flow where that names nobody", () => {
    const quic = {
      ...serviceOf([20, 21, 22]),
      vips: [VIP, VIP6].map((address) => ({ address, port: 443, protocol: "udp" as const })),
      name: "quic",
      quic: true as const,
    };
    bench.commit("direct", [serviceOf([21, 22, 23]), quic]);
    for (const vip of [VIP, VIP6])
      for (const begins of [true, false])
        for (const last of [20, 21, 22, 99]) {
          const question = {
            from: { address: vip === VIP ? "202.20.20.20" : "2001:db8:20::20", port: 7000 },
            to: { address: vip, port: 443 },
            protocol: "udp" as const,
            begins,
          };
          const connectionId = Uint8Array.of(7, 125, 12, 12, last, 1, 2, 3);
          const answer = bench.netns.inside(() => explainer.ask({ ...question, connectionId }))!;
          const plain = bench.netns.inside(() => explainer.ask(question))!;
          expect(answer).toMatchObject({ service: "quic", phase: "settled", named: last !== 99, cell: null });
          expect(answer.backend).toEqual(
            last === 99 ? plain.backend : { address: `125.12.12.${last}`, port: 443, state: "up" },
          );
        }
  });

  test("is nothing where nothing is served, and nobody where nobody may have it", () => {
    const from = { address: "202.20.20.20", port: 1 };
    const other = { from, to: { address: VIP, port: 81 }, protocol: "tcp" as const, begins: true };
    expect(bench.netns.inside(() => explainer.ask(other))).toBeNull();
    expect(Explainer.open("/sys/fs/bpf/sluice/of-nobody")).toBeNull();
    bench.commit("direct", { ...serviceOf([21]), eligible: [] });
    bench.plane.commit("direct", []);
    bench.commit("direct", { ...serviceOf([21]), eligible: [] });
    expect(ask(1, true)!.backend).toBeNull();
  });
});
