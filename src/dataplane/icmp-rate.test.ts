import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { netnsMissing } from "../system/netns-testing.ts";
import { IcmpError, Limit } from "./generated/layout.ts";
import { testBackend, testService } from "./testing/doors.ts";
import { Bench, mac } from "./testing/fixtures.ts";
import { ACK, frame, tcp } from "./testing/frames.ts";
import { xdpMissing } from "./testing/network.ts";
import { patience } from "./testing/patience.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: the rate of ICMP errors: ${missing}`);

const families = {
  IPv4: { vip: "125.12.12.77", client: "202.20.20.20", backend: "125.12.12.20" },
  IPv6: { vip: "2001:db8:12::77", client: "2001:db8:20::20", backend: "2001:db8:12::14" },
} as const;
const kinds = {
  "time exceeded": { number: IcmpError.ERROR_EXPIRED, burst: Limit.EXPIRED_BURST, rate: Limit.EXPIRED_RATE },
  "too big": { number: IcmpError.ERROR_TOO_BIG, burst: Limit.TOO_BIG_BURST, rate: Limit.TOO_BIG_RATE },
} as const;
type Kind = keyof typeof kinds;
const MTU = 1400;
/** On a machine where each packet takes long, time may refill a bucket between two steps: it is emptied again. */
const TRIES = 1000;

for (const family of Object.keys(families) as (keyof typeof families)[])
  describe.skipIf(missing !== null)(`the rate of ICMP errors over ${family}`, () => {
    const { vip, client, backend } = families[family];
    let bench: Bench;
    beforeAll(async () => {
      const tcpVip = { address: vip, port: 80, protocol: "tcp" as const };
      bench = await Bench.create("nat", testService("web", [tcpVip], [testBackend(1, backend, null)]), MTU);
    }, patience(60_000));
    afterAll(() => bench?.close());

    const packet = (ttl: number, bytes: number): Uint8Array => {
      const ip = { source: client, target: vip, ttl, dontFragment: true };
      const ports = { sourcePort: 4000, targetPort: 80 };
      return frame(mac.gateway, mac.director, tcp(ip, ports, ACK, 1, new Array(bytes).fill(7)));
    };
    const packets = { "time exceeded": packet(1, 0), "too big": packet(64, MTU) };
    const send = (kind: Kind): "drop" | "tx" => {
      const { verdict } = bench.run(packets[kind]);
      expect(["tx", "drop"]).toContain(verdict);
      return verdict as "drop" | "tx";
    };
    const refused = (): number => bench.drops("nat", "web").SLUICE_DROP_ERROR_RATE ?? 0;
    /** Sends until one is refused, each time from a bucket whose burst is gone. False: none is. */
    const isRefused = (kind: Kind): boolean => {
      const { burst, rate, number } = kinds[kind];
      const rest = BigInt((burst - 1) * Math.floor(Limit.RATE_SECOND / rate));
      return bench.inside(() => {
        for (let i = 0; i < TRIES; i++) {
          bench.setErrorBucket(number, 0n);
          send(kind);
          bench.setErrorBucket(number, bench.errorBucket(number) + rest);
          if (send(kind) === "drop") return true;
        }
        return false;
      });
    };

    for (const kind of Object.keys(kinds) as Kind[]) {
      const { burst } = kinds[kind];
      const other: Kind = kind === "too big" ? "time exceeded" : "too big";

      test(`a burst of "${kind}" is sent, and what is beyond it is a counted drop`, () => {
        bench.refillErrors();
        const before = refused();
        const flood = bench.inside(() => Array.from({ length: 4 * burst }, () => send(kind)));
        expect(flood.slice(0, burst).every((verdict) => verdict === "tx")).toBe(true);
        expect(refused() - before).toBe(flood.filter((verdict) => verdict === "drop").length);
        const more = refused();
        expect(isRefused(kind)).toBe(true);
        expect(refused() - more).toBe(1);
      });

      test(`where no "${kind}" is left "${other}" is sent, and packets go on`, () => {
        bench.refillErrors();
        expect(isRefused(kind)).toBe(true);
        expect(send(other)).toBe("tx");
        expect(bench.run(packet(64, 0)).output[5]).toBe(20);
      });

      test(`more "${kind}" than that, or fewer, are sent where the configuration says so`, () => {
        const name = kind === "too big" ? "tooBig" : "expired";
        const flood = (): string[] => {
          bench.refillErrors();
          return bench.inside(() => Array.from({ length: 4 * burst }, () => send(kind)));
        };
        const fewest = Math.ceil(burst / 10);
        bench.plane.setErrorRates({ [name]: { rate: 1, burst: fewest } });
        // One a second comes in again while it runs, on each CPU.
        expect(flood().filter((verdict) => verdict === "tx").length).toBeLessThan(burst);
        bench.plane.setErrorRates({ [name]: 4 * burst });
        expect(flood()).toEqual(new Array(4 * burst).fill("tx"));
        bench.plane.setErrorRates(undefined);
        bench.refillErrors();
        expect(isRefused(kind)).toBe(true);
      });

      test(`"${kind}" is sent again after a while`, async () => {
        bench.refillErrors();
        expect(isRefused(kind)).toBe(true);
        while (send(kind) === "drop") await Bun.sleep(1);
      });
    }
  });
