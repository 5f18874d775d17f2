import { expect, test } from "bun:test";
import fc from "fast-check";
import { ptr } from "../runtime/ffi.ts";
import { libc } from "../runtime/libc.ts";
import { OUT } from "../runtime/outbox.ts";
import { MSG_DONTWAIT, SOCK_STREAM } from "../runtime/socket-constants.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import { makePair } from "../runtime/testing.ts";
import { Wire } from "./wire.ts";

const SOCK_SEQPACKET = 5;
class Bare extends Wire {
  expired(): void {}
}
const LARGE = 100_000;

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
  const wire = new Bare();
  const sink = new Sink();
  wire.attach(sink as unknown as TcpSocket<unknown>);
  return { wire, sink };
}

/** A wire into one end of a pair, and what comes out of the other. SOCK_SEQPACKET: one message for each system call. */
function piped(kind: number): { wire: Wire; receive(): string; close(): void } {
  const [near, far] = makePair(kind);
  const wire = new Bare();
  const write = (bytes: Buffer, start: number, length: number): number =>
    Math.max(0, libc.send(near, ptr(bytes, start), length, MSG_DONTWAIT));
  wire.attach({ fd: near, write } as unknown as TcpSocket<unknown>);
  const room = Buffer.alloc(LARGE * 2);
  const receive = (): string =>
    room.toString("latin1", 0, Math.max(0, libc.recv(far, ptr(room), room.length, MSG_DONTWAIT)));
  return { wire, receive, close: () => [near, far].forEach((fd) => void libc.close(fd)) };
}

test.each([100, 5000, 16_384, LARGE])("a head leaves in one write with a body of %d bytes", (size) => {
  const { wire, receive, close } = piped(SOCK_SEQPACKET);
  const bytes = Buffer.from(`gone${"b".repeat(size)}`);
  OUT.write("head");
  wire.send(OUT, 0, wire.gather(4, bytes, 4, bytes.length));
  expect(receive()).toBe(`head${"b".repeat(size)}`);
  expect([wire.queued, bytes.toString("latin1", 0, 8)]).toEqual([0, "gonebbbb"]);
  close();
});

test("of a head and a body that are not taken whole the rest follows", () => {
  const { wire, receive, close } = piped(SOCK_STREAM);
  const bytes = Buffer.from(Uint8Array.from({ length: LARGE * 10 }, (_, i) => 97 + ((i * 31 + (i >> 8)) % 25)));
  const expected = `head${bytes.toString("latin1")}`;
  OUT.write("head");
  wire.send(OUT, 0, wire.gather(4, bytes, 0, bytes.length));
  OUT.fill(0, 0, 100);
  expect(wire.queued).toBeGreaterThan(0);
  expect(wire.taken + wire.queued).toBe(expected.length);
  let got = "";
  for (let part = receive(); part !== ""; part = receive()) {
    got += part;
    wire.flush();
  }
  expect(got === expected).toBe(true);
  close();
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
        at = wire.gather(at, bytes, from, from + size);
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
