import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { toBytes16 } from "../../core/address.ts";
import type { Code } from "../../core/codes.ts";
import { lookupElement, openPinned, updateElement } from "../../system/libbpf.ts";
import { closeFd } from "../../system/net.ts";
import { netnsMissing } from "../../system/netns-testing.ts";
import { control, guard as guardAt, Limit } from "../generated/layout.ts";
import { testBackend, testService } from "../testing/doors.ts";
import { Bench, mac } from "../testing/fixtures.ts";
import { ACK, frame, RST, SYN, tcp } from "../testing/frames.ts";
import { xdpMissing } from "../testing/network.ts";
import { patience } from "../testing/patience.ts";
import type { Limits } from "./schema.ts";

const missing = netnsMissing() ?? xdpMissing();
if (missing) console.log(`skipped: proofs of sources: ${missing}`);
const VIP = "125.12.12.77";
const vips = [{ address: VIP, port: 80, protocol: "tcp" as const }];
const backends = [testBackend(1, "125.12.12.20", null)];
/** One connection, and no other while the test runs. */
const ONE = { rate: 0.01, burst: 1 };

const MASK = 2n ** 64n - 1n;
const halvesOf = (address: string): [high: bigint, low: bigint] => {
  const view = new DataView(toBytes16(address).slice().buffer);
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
};
const swapped = (port: number): bigint => BigInt(((port & 0xff) << 8) | (port >> 8));
const mixed = (h: bigint, factor: bigint, shift: bigint): bigint => {
  const product = (h * factor) & MASK;
  return product ^ (product >> shift);
};

/** The program's hashes, written once more. */
class Hashes {
  readonly #secret: DataView;
  constructor(words: Uint8Array) {
    this.#secret = new DataView(words.slice(guardAt.secret, guardAt.secret + 16).buffer);
  }

  #seed = (first: number): bigint =>
    (BigInt(this.#secret.getUint32(4 * first, true)) << 32n) | BigInt(this.#secret.getUint32(4 * first + 4, true));

  ofSource(address: string, salt = 0): bigint {
    const [high, low] = halvesOf(address);
    const h = mixed(this.#seed(0) ^ low ^ BigInt(salt), 0x9e3779b97f4a7c15n, 32n);
    return mixed((mixed(h ^ high, 0xd6e8feb86659fd93n, 32n) * 0x94d049bb133111ebn) & MASK, 1n, 31n);
  }

  challenge(address: string, port: number, epoch: number): number {
    const [high, low] = halvesOf(address);
    let h = mixed(this.#seed(2) ^ low, 0x9e3779b97f4a7c15n, 32n);
    h = mixed(h ^ high, 0xd6e8feb86659fd93n, 32n);
    h = mixed(h ^ halvesOf(VIP)[1], 0xbf58476d1ce4e5b9n, 29n);
    const rest = (BigInt(epoch) << 32n) | (swapped(port) << 16n) | swapped(80);
    return Number(mixed(h ^ rest, 0x94d049bb133111ebn, 31n) & 0x7fffffffn);
  }
}

describe.skipIf(missing !== null)("proofs of sources", () => {
  let bench: Bench;
  let hashes: Hashes;
  const descriptors: Record<string, number> = {};
  beforeAll(async () => {
    bench = await Bench.create("direct", testService("web", vips, backends));
    await set({ connections: ONE, prove: true });
    for (const name of ["guard_words", "proofs"])
      descriptors[name] = openPinned(`${bench.plane.kernel.pins.maps}/${name}`)!;
    const words = new Uint8Array(guardAt.size);
    lookupElement(descriptors.guard_words!, new Uint8Array(4), words);
    hashes = new Hashes(words);
  }, patience(60_000));
  afterAll(() => {
    for (const fd of Object.values(descriptors)) closeFd(fd);
    bench?.close();
  });

  const set = async (limits: Limits): Promise<void> => {
    const staged = await bench.plane.guard.stage(undefined, true);
    bench.commit("direct", { ...testService("web", vips, backends), limits });
    bench.plane.applyGuard(staged);
  };
  const send = (input: Uint8Array) => bench.run(input, bench.plane.kernel.entry.programFd);
  const segment = (source: string, flags: number, sequence: number, options?: number[]): Uint8Array =>
    frame(
      mac.gateway,
      mac.director,
      tcp(
        { source, target: VIP, ...(options ? { options } : {}) },
        { sourcePort: 5000, targetPort: 80 },
        flags,
        sequence,
      ),
    );
  /** What the guard counts of a packet; null: nothing. */
  const counted = (input: Uint8Array): Code | null => {
    const before = bench.drops("direct", "web");
    send(input);
    const after = Object.entries(bench.drops("direct", "web"));
    return (after.find(([code, count]) => count > (before[code as Code] ?? 0))?.[0] as Code | undefined) ?? null;
  };
  let last = 0;
  /** Nobody's yet. */
  const stranger = (): string => `10.7.${++last >> 8}.${last & 255}`;
  const tick = (): number => {
    bench.heartbeat(true);
    const { view } = bench.plane.memory.control_words;
    return Number(view.getBigUint64(control.heartbeatNs, true) >> BigInt(Limit.TICK_SHIFT));
  };
  const epoch = (): number => tick() >> Limit.EPOCH_SHIFT;
  /** Done once more when an epoch has ended meanwhile. */
  const inOneEpoch = <T>(work: (epoch: number) => T): T => {
    for (;;) {
      const begun = epoch();
      const done = work(begun);
      if (epoch() === begun) return done;
    }
  };
  // Uses up the one connection that needs no proof.
  beforeEach(async () => {
    await set({ connections: ONE, prove: true });
    send(segment(stranger(), SYN, 1));
  });

  test("the number of this epoch and of the one before it proves, of this source and port, and no other", () => {
    const proves = (number: (source: string, epoch: number) => number): boolean =>
      inOneEpoch((now) => {
        const source = stranger();
        return counted(segment(source, RST, number(source, now))) === "SLUICE_DROP_PROOF";
      });
    for (const [age, expected] of [
      [2, false],
      [1, true],
      [0, true],
      [-1, false],
    ] as const)
      expect([age, proves((source, now) => hashes.challenge(source, 5000, now - age))]).toEqual([age, expected]);
    expect(proves((source, now) => hashes.challenge(source, 5001, now))).toBe(false);
    expect(proves((_, now) => hashes.challenge(VIP, 5000, now))).toBe(false);
  });

  test("an answer never acknowledges what the client has sent, and proves all the same", () => {
    const { answer, number, source } = inOneEpoch((now) => {
      const source = stranger();
      const number = hashes.challenge(source, 5000, now);
      const { output } = send(segment(source, SYN, (number - 1) >>> 0));
      return { answer: new DataView(output.buffer, output.byteOffset).getUint32(42), number, source };
    });
    expect(answer).toBe((number ^ 0x8000_0000) >>> 0);
    expect(counted(segment(source, RST, answer))).toBe("SLUICE_DROP_PROOF");
  });

  test("a proof is its address's alone, and ends", () => {
    const source = stranger();
    const hash = hashes.ofSource(source);
    const key = new Uint8Array(Uint32Array.of(Number(hash & BigInt(Limit.PROOFS - 1))).buffer);
    const tag = Number(hash >> 32n) | 1;
    const says = (whose: number, age: number): Code | null => {
      const value = Uint32Array.of(tick() - age, whose);
      updateElement(descriptors.proofs!, key, new Uint8Array(value.buffer));
      return counted(segment(source, SYN, 9));
    };
    expect(says(tag, 0)).toBeNull();
    // Ticks may pass meanwhile.
    expect(says(tag, Limit.PROOF_TICKS - 60)).toBeNull();
    expect(says(tag, Limit.PROOF_TICKS + 1)).toBe("SLUICE_DROP_UNPROVEN");
    expect(says(tag ^ 2, 0)).toBe("SLUICE_DROP_UNPROVEN");
  });

  test("a SYN with IP options is not answered: such a client proves itself by another packet", () => {
    expect(send(segment(stranger(), SYN, 9, [1, 1, 1, 0])).verdict).toBe("drop");
    expect(counted(segment(stranger(), SYN, 9, [1, 1, 1, 0]))).toBe("SLUICE_DROP_UNPROVEN");
  });

  test("who comes to a bucket that was another source's begins with a full one", async () => {
    await set({ packetsPerSource: ONE, prove: false });
    const salt = bench.plane.mustHave("direct", "web").number << 1;
    const owners = new Map<bigint, string>();
    for (let i = 0; ; i++) {
      const source = `10.8.${i >> 8}.${i & 255}`;
      const index = hashes.ofSource(source, salt) & BigInt(Limit.SOURCES - 1);
      const other = owners.get(index);
      owners.set(index, source);
      if (other === undefined) continue;
      const told = [other, other, source, source].map((one) => send(segment(one, ACK, 9)).verdict);
      expect(told).toEqual(["tx", "drop", "tx", "drop"]);
      return;
    }
  });
});
