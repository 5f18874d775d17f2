import { expect, test } from "bun:test";
import fc from "fast-check";
import { OUT } from "../runtime/outbox.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import { Wire } from "./wire.ts";

/** A socket that takes what `room` allows, and keeps what it took. */
class Sink {
  /** None: what leaves by the system call comes here too. */
  readonly fd = -1;
  got: Buffer[] = [];
  writes = 0;
  room = Number.POSITIVE_INFINITY;
  write(bytes: Buffer, start: number, length: number): number {
    const taken = Math.min(length, this.room);
    this.room -= taken;
    this.writes++;
    this.got.push(Buffer.from(bytes.subarray(start, start + taken)));
    return taken;
  }
}

function connected(): { wire: Wire; sink: Sink } {
  const wire = new Wire();
  const sink = new Sink();
  wire.socket = sink as unknown as TcpSocket<unknown>;
  return { wire, sink };
}

const LARGE = 100_000;

test("a head leaves in one write with a large body that has room before it", () => {
  const { wire, sink } = connected();
  const bytes = Buffer.alloc(LARGE, "b");
  OUT.write("head");
  expect(wire.gather(4, bytes, 10, LARGE, true)).toBe(0);
  expect(sink.writes).toBe(1);
  expect(Buffer.concat(sink.got).toString()).toBe(`head${"b".repeat(LARGE - 10)}`);
});

test("whatever the socket takes, all bytes arrive in order and unchanged", () => {
  const pieces = fc.array(
    fc.record({ gap: fc.nat(300), size: fc.oneof(fc.nat(300), fc.integer({ min: 32_000, max: 70_000 })) }),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(pieces, fc.nat(400), fc.array(fc.nat(60_000), { maxLength: 8 }), (ranges, head, rooms) => {
      const { wire, sink } = connected();
      sink.room = rooms[0] ?? Number.POSITIVE_INFINITY;
      const total = ranges.reduce((sum, { gap, size }) => sum + gap + size, 0);
      const bytes = Buffer.from(Uint8Array.from({ length: total }, (_, i) => i * 31 + (i >> 8)));
      const expected: Buffer[] = [Buffer.alloc(head, "h")];
      OUT.fill("h", 0, head);
      let at = head;
      let from = 0;
      for (const { gap, size } of ranges) {
        from += gap;
        expected.push(Buffer.from(bytes.subarray(from, from + size)));
        at = wire.gather(at, bytes, from, from + size, true);
        from += size;
      }
      wire.send(OUT, 0, at);
      OUT.fill(0, 0, 1000);
      for (const room of rooms.slice(1)) {
        sink.room = room;
        wire.flush();
      }
      sink.room = Number.POSITIVE_INFINITY;
      expect(wire.flush()).toBe(true);
      expect(wire.queued).toBe(0);
      expect(Buffer.concat(sink.got).equals(Buffer.concat(expected))).toBe(true);
    }),
    { numRuns: 300 },
  );
});
