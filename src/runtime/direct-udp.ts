import "./augment.d.ts";
import { now } from "./clock.ts";
import { DatagramRing, makeSlots, PEER, type Slot } from "./datagram-ring.ts";
import { epollOf } from "./epoll.ts";
import { ptr } from "./ffi.ts";
import { errno, libc } from "./libc.ts";
import { AF_INET, toSockaddr } from "./socket-address.ts";
import { MSG_DONTWAIT } from "./socket-constants.ts";

const EAGAIN = 11;
/** Datagrams in one system call. */
const BATCH = 64;
/** Longest datagram there is (RFC 768), IPv6 without jumbograms. */
const MOST = 65535;
/** While datagrams come without a gap, everything else waits so long for its turn, ms; timers also where there are gaps. */
const HOLD = 5;
/** How long the next one is waited for, ms. */
const PAUSE = 1;
/** Of `struct sockaddr_in`. */
const PEER_V4 = 16;
const POLLIN = 1;
/** Most batches that are answered at the end: more than a socket's buffer holds. */
const FINISH = 1000;

/**
 * Answers one datagram: the first `length` octets of a slot, sent by `peer` (a `struct sockaddr_in` or `sockaddr_in6`).
 * Writes the answer into the slot, in the question's place; returns its length, 0 for none. Nothing of what it is given may
 * be kept. Must not throw.
 */
export type Reply = (slot: Slot, length: number, peer: Uint8Array) => number;

export interface DatagramServer {
  /** Answers what waits now. */
  finish(): void;
  /** Closes the descriptor. */
  close(): void;
}

/** One at a time is served: one memory for all sockets of the process. */
let ring: DatagramRing | null = null;
/** What Bun hands over. */
let handed: { slot: Slot; peer: Uint8Array } | null = null;
const open: DirectUdp[] = [];
/** `struct pollfd` of each, then of Bun's epoll. */
let polled = new Int32Array(0);
/** The descriptor of Bun's epoll; -1, which poll(2) passes over: not found. */
let bunLoop = -1;
/** Is a turn to come, and is the next datagram to be waited for in it? */
let turning = false;
let quick = false;
/** When the last one came, ms. */
let last = 0;

/** A UDP socket whose datagrams are answered at once, many in one system call, without an object for each. */
class DirectUdp implements DatagramServer {
  readonly fd: number;
  private readonly reply: Reply;
  private bun: Bun.udp.Socket<"buffer"> | null = null;
  closed = false;

  constructor(fd: number, reply: Reply) {
    ring ??= new DatagramRing(BATCH, MOST);
    handed ??= { slot: makeSlots(1, MOST)[0]!, peer: new Uint8Array(PEER) };
    this.fd = fd;
    this.reply = reply;
  }

  /** Bun's loop tells when datagrams come; it hands over those that it has read itself. */
  async watch(): Promise<void> {
    this.bun = (await Bun.udpSocket({
      fd: this.fd,
      binaryType: "buffer",
      socket: {
        data: (_socket, data, port, address) => {
          this.answerFirst(data, port, address);
          this.takeBehind();
        },
        // ICMP errors of clients that are gone arrive here; without a handler they are printed.
        error() {},
      },
    } as Bun.udp.SocketOptions<"buffer">)) as Bun.udp.Socket<"buffer">;
    open.push(this);
    bunLoop = epollOf(this.fd);
    pollAll();
  }

  /** Bun reads on until nothing is left: what is behind the one that it has handed over is taken before it can. */
  private takeBehind(): void {
    const end = now() + PAUSE;
    quick ||= end - last < 2 * PAUSE;
    last = end - PAUSE;
    while (this.take() > 0 && now() < end) quick = true;
    takeTurns();
  }

  private answerFirst(data: Uint8Array, port: number, address: string): void {
    const { slot, peer } = handed!;
    // Of the zone of a link-local address nothing hangs but the way back, which Bun finds.
    peer.set(toSockaddr(address.split("%", 1)[0]!, port).bytes);
    slot.octets.set(data);
    const length = port === 0 ? 0 : this.reply(slot, data.length, peer);
    if (length > 0 && !this.closed) this.bun!.send(slot.octets.subarray(0, length), port, address);
  }

  /** Answers up to `BATCH` datagrams that wait; returns how many they were. */
  take(): number {
    const { slots, peers, arrivals } = ring!;
    let count = libc.recvmmsg(this.fd, arrivals, BATCH, MSG_DONTWAIT, null);
    // An ICMP error of an earlier answer is told once, in place of what waits.
    if (count < 0 && errno() !== EAGAIN) count = libc.recvmmsg(this.fd, arrivals, BATCH, MSG_DONTWAIT, null);
    if (count <= 0) return 0;
    let answers = 0;
    for (let i = 0; i < count; i++) {
      const peer = peers[i]!;
      // Port 0 cannot be answered (RFC 768); a packet from there is forged.
      if (peer[2] === 0 && peer[3] === 0) continue;
      const length = this.reply(slots[i]!, ring!.length(i), peer);
      if (length > 0) ring!.fill(answers++, i, length, peer[0] === AF_INET ? PEER_V4 : PEER);
    }
    ring!.clear(count);
    this.send(answers);
    return count;
  }

  private send(count: number): void {
    let failed = -1;
    for (let sent = 0; sent < count; ) {
      const done = libc.sendmmsg(this.fd, ring!.answers(sent), count - sent, MSG_DONTWAIT);
      if (done > 0) sent += done;
      // Full: they are dropped, as UDP may.
      else if (errno() === EAGAIN) return;
      // An ICMP error of an earlier one is told once; what fails again cannot be sent.
      else if (failed === sent) sent++;
      else failed = sent;
    }
  }

  finish(): void {
    for (let i = 0; i < FINISH && !this.closed && this.take() > 0; i++);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    open.splice(open.indexOf(this), 1);
    pollAll();
    this.bun?.close();
  }
}

/** Serves a bound UDP socket that was made elsewhere (`runtime/listen.ts`); owns the descriptor from then on. */
export async function serveDatagrams(fd: number, reply: Reply): Promise<DatagramServer> {
  const server = new DirectUdp(fd, reply);
  await server.watch();
  return server;
}

function takeTurns(): void {
  if (turning) return;
  turning = true;
  setImmediate(turn);
}

/**
 * While datagrams come quickly they are waited for here, not in Bun's loop, which costs more than an answer. It has its
 * turn when anything else waits for it, and every `HOLD`.
 */
function turn(): void {
  turning = false;
  if (!quick) return;
  quick = false;
  let time = now();
  let look = time;
  for (const end = time + HOLD; open.length > 0; ) {
    let most = 0;
    for (const server of open) most = Math.max(most, server.take());
    time = now();
    if (most > 0) last = time;
    if (time > end) break;
    if (most === BATCH) continue;
    // To look at an epoll costs as much as to look at a socket: not each time.
    const whole = time >= look;
    if (whole) look = time + PAUSE;
    if (libc.poll(ptr(polled), open.length + (whole ? 1 : 0), PAUSE) <= 0) return;
    const found = waiting();
    // Bun takes out what ICMP said.
    if (found > POLLIN) return;
    if (found !== POLLIN) break;
  }
  // Something else may wait in Bun's loop for long: without datagrams it is Bun's alone.
  quick = time - last < 2 * PAUSE;
  if (quick) takeTurns();
}

/** What poll(2) found on the sockets, all together: POLLIN, POLLERR. */
function waiting(): number {
  let found = 0;
  for (let i = 0; i < open.length; i++) found |= polled[2 * i + 1]! >>> 16;
  return found;
}

function pollAll(): void {
  polled = Int32Array.from([...open.map(({ fd }) => fd), bunLoop].flatMap((fd) => [fd, POLLIN]));
}
