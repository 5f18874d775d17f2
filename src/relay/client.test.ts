import { expect, test } from "bun:test";
import { RequestHead } from "../protocols/http/request.ts";
import { libc } from "../runtime/libc.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import { makePair } from "../runtime/testing.ts";
import { Client, Reading } from "./client.ts";
import type { ClientLimits, Front } from "./front.ts";
import { Wheel } from "./wheel.ts";

/** Answers each request at once. */
class Answering extends Client {
  read = 0;
  readonly heard: string[] = [];
  tunnels(): void {
    this.reading = Reading.TUNNEL;
  }
  protected request(): void {
    this.read++;
    this.answer(Buffer.from("ok"));
    this.next();
  }
  protected body(): void {}
  protected cut(): void {
    this.heard.push("half closed");
  }
  override terminate(): void {
    this.heard.push("cut off");
  }
  protected bodyPart(): void {}
  protected over(): void {}
}

/** Such a client, whose socket takes `room` bytes and says whether it is read; and how many field lines were read. */
function connected(room: number, fd = -1) {
  const wheel = new Wheel(() => 0);
  wheel.stop();
  const seen = { room, paused: false, lines: 0 };
  const limits = {
    size: 128 * 1024,
    target: 1024,
    requests: 1e9,
    body: 0,
    headTimeout: 1000,
    idleTimeout: 1000,
    stallTimeout: 1000,
    // It is asked for at each field line that is read.
    get fields() {
      seen.lines++;
      return 16;
    },
  } as ClientLimits;
  const service = { log: null, cells: { add() {} } };
  const site = { find: () => service, fallback: null };
  const head = new RequestHead({ fields: 16 });
  const introducers = { has: () => false };
  const client = new Answering({ wheel, limits, site, head, introducers, admits: () => true } as unknown as Front);
  const socket = {
    fd,
    remoteAddress: "127.0.0.1",
    write(_bytes: Buffer, _start: number, length: number): number {
      const taken = Math.min(length, seen.room);
      seen.room -= taken;
      return taken;
    },
    pause: () => (seen.paused = true),
    resume: () => (seen.paused = false),
  };
  client.begin(socket as unknown as TcpSocket<Client>);
  client.opened();
  return { client, seen };
}

test("a tunnel's end behind which nothing can be written either is a reset, whose error went to a write of ours", () => {
  for (const [gone, heard] of [
    [true, ["cut off"]],
    [false, ["half closed"]],
  ] as const) {
    const [near, far] = makePair();
    const { client } = connected(2, near);
    client.tunnels();
    if (gone) libc.close(far);
    client.finished();
    expect(client.heard).toEqual([...heard]);
    if (!gone) libc.close(far);
    libc.close(near);
  }
});

test("a head that drips is read again once for each of its lines, not for each of its bytes", () => {
  const { client, seen } = connected(2);
  const fields = "A: b\r\n".repeat(8);
  for (const octet of Buffer.from(`GET / HTTP/1.1\r\n${fields}C: ${"d".repeat(900)}\r\nHost: a\r\n\r\n`))
    client.received(Buffer.of(octet));
  expect(client.read).toBe(1);
  expect(seen.lines).toBeLessThanOrEqual(10 * 11);
});

test("a client that takes none of its answers is not read without end, and gets all when it takes them", () => {
  const { client, seen } = connected(0);
  const some = Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000));
  client.received(some);
  expect([client.read, seen.paused]).toEqual([1, false]);
  for (let k = 0; k < 2; k++) client.received(some);
  expect([client.read, seen.paused]).toEqual([1, true]);
  seen.room = 6000;
  client.drained();
  expect([client.read, seen.paused]).toEqual([3000, false]);
});

test("a head may be larger than what is read ahead", () => {
  const { client, seen } = connected(2);
  client.received(Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\nA: ${"b".repeat(100_000)}`));
  expect(seen.paused).toBe(false);
  client.received(Buffer.from("\r\n\r\n"));
  expect(client.read).toBe(1);
});
