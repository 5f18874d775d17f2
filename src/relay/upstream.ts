import type { Code } from "../core/codes.ts";
import { ChunkedReader } from "../protocols/http/chunked.ts";
import { mayDecide } from "../protocols/http/field-block.ts";
import { Broken, refusalOf } from "../protocols/http/refusal.ts";
import { Framing, parseResponse, ResponseHead } from "../protocols/http/response.ts";
import { letGo } from "../runtime/chunk.ts";
import { Dialler } from "../runtime/dial.ts";
import { type ConnectFailure, closeGently, type TcpSocket } from "../runtime/tcp.ts";
import type { Asker } from "./asker.ts";
import { connectCodes } from "./blame.ts";
import type { Idle } from "./idle.ts";
import type { Pool } from "./pool.ts";
import { LARGE, MOVES, Wire } from "./wire.ts";

const State = { CONNECTING: 0, IDLE: 1, HEAD: 2, BODY: 3, ANSWERED: 4, TUNNEL: 5, DEAD: 6 } as const;

/** 1xx responses before the final one. */
const INTERIMS = 32;
/** Fields of a response. */
export const RESPONSE_FIELDS = 256;

/** The response head under way; one per process, valid until the next read. */
export const responseHead = new ResponseHead({ fields: RESPONSE_FIELDS });

/** One connection to a backend: reads responses strictly, one for each request, and is used again only when whole. */
export class Upstream extends Wire {
  /** How many responses it has carried: one that has carried none cannot be stale. */
  served = 0;
  private restingSince = 0;
  private state: number = State.CONNECTING;
  private input: Buffer | null = null;
  private left = 0;
  private framing: number = Framing.NONE;
  private chunks: ChunkedReader | null = null;
  private keepAlive = false;
  private silent = true;
  private interims = 0;
  private paused = false;
  private ended = false;
  private faulty = false;
  private attempt: { cancel(): void } | null = null;

  /** The idle one that is given out after it, and how many it makes with those behind; of no meaning while it works. */
  below: Upstream | null = null;
  depth = 0;

  private readonly pool: Pool;
  /** The backend's, and what is the same for all of its service: a message need not look at the pool. */
  readonly id: number;
  private readonly idle: Idle;
  private asker: Asker | null;
  constructor(pool: Pool, asker: Asker | null) {
    super();
    this.pool = pool;
    this.id = pool.backend.id;
    this.idle = pool.idle;
    this.asker = asker;
  }

  connect(): void {
    const { backend, port } = this.pool;
    const timeout = this.idle.limits.connectTimeout;
    this.attempt = dialler.connect({ address: backend.address, port, timeout, data: this });
  }

  // ---- what the asker does -----------------------------------------------------------------------------------------
  /** Works for `asker` from now on; the request follows on `wire`. */
  begin(asker: Asker): void {
    this.asker = asker;
    this.state = State.HEAD;
    this.silent = true;
    this.interims = 0;
  }

  /** Passes bytes for `asker` from now on, whatever they are. */
  beginTunnel(asker: Asker): void {
    this.asker = asker;
    this.state = State.TUNNEL;
    this.alive();
  }

  /** A part of the request has gone out: the backend's time to answer, or to take the rest, runs from here. */
  asked(): void {
    if (this.state === State.HEAD) this.within(this.idle.limits.responseTimeout);
    else if (this.state === State.ANSWERED) this.within(this.idle.limits.readTimeout);
  }

  /** What comes next must come within so many ms. */
  private within(ms: number): void {
    this.idle.wheel.set(this, ms);
  }

  /** Who has it at work. */
  get worksFor(): Asker | null {
    return this.asker;
  }

  /** Bytes have gone through its tunnel. */
  alive(): void {
    if (this.state === State.TUNNEL) this.within(this.idle.limits.tunnelTimeout);
  }

  /** Does the backend keep this connection after the response under way? */
  get lasting(): boolean {
    return this.keepAlive && !this.ended;
  }

  pause(): void {
    if (this.paused || this.socket === null) return;
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.paused || this.socket === null) return;
    const { asker } = this;
    const large = asker !== null && this.state === State.BODY && this.isLarge;
    // What waits in the kernel goes first; when that fills the asker up again, it is read no further.
    const whole = large && this.move(asker);
    if (large && !whole && asker.full) return;
    this.paused = false;
    this.socket?.resume();
    if (whole) this.answered(asker);
  }

  /**
   * The exchange is over. `whole`: request and response were, so the connection may be used again; not while some of the
   * request still waits: a backend that has answered may never take it, and then no other request either.
   */
  release(whole: boolean): void {
    this.asker = null;
    const spent = !this.keepAlive || this.ended || this.input !== null || this.queued > 0;
    if (!whole || spent || this.state === State.DEAD) {
      this.destroy();
      return;
    }
    this.resume();
    this.served++;
    this.idle.give(this);
  }

  /** For how long it has had no work, ms. */
  get rested(): number {
    return this.idle.wheel.now - this.restingSince;
  }

  /** It has no work, and is given out before `below`. */
  rest(below: Upstream | null, depth: number): void {
    const { wheel, limits } = this.idle;
    this.below = below;
    this.depth = depth;
    this.state = State.IDLE;
    this.restingSince = wheel.now;
    wheel.set(this, limits.poolTimeout);
  }

  destroy(): void {
    if (this.state === State.DEAD) return;
    const { socket } = this;
    const tunnelled = this.state === State.TUNNEL;
    this.state = State.DEAD;
    this.asker = null;
    this.input = null;
    this.attempt?.cancel();
    this.idle.wheel.remove(this);
    this.pool.lost(this);
    const gently = tunnelled && this.queued === 0;
    this.drop();
    if (socket === null) return;
    if (gently) closeGently(socket);
    else socket.terminate();
  }

  /** Sends FIN once all has gone out (tunnels). */
  shutdown(): void {
    this.socket?.shutdown();
  }

  // ---- socket events -----------------------------------------------------------------------------------------------
  opened(socket: TcpSocket<Upstream>): void {
    this.attach(socket as TcpSocket<unknown>);
    this.attempt = null;
    if (this.asker === null) {
      this.destroy();
      return;
    }
    this.pool.opened();
    const introduction = this.asker.introduction();
    if (introduction !== null) this.send(introduction, 0, introduction.length);
    this.asker.connected(this);
  }

  refused(why: ConnectFailure, detail: string): void {
    this.give(connectCodes[why], detail);
  }

  received(chunk: Buffer): void {
    switch (this.state) {
      case State.HEAD:
        this.readHead(chunk);
        return;
      case State.BODY:
        this.readBody(chunk, 0);
        return;
      case State.TUNNEL:
        this.within(this.idle.limits.tunnelTimeout);
        this.asker?.tunnelled(chunk, 0, chunk.length);
        return;
      case State.DEAD:
        return;
      default:
        // Bytes that nobody asked for are not a response (RFC 9112 9.2).
        this.give("SLUICE_BACKEND_PROTOCOL", "bytes behind the response");
    }
  }

  drained(): void {
    this.asked();
    if (this.flush()) this.asker?.writable();
  }

  finished(): void {
    this.ended = true;
    if (this.state === State.TUNNEL) {
      this.asker?.halfClosed();
      return;
    }
    if (this.state === State.BODY && this.framing === Framing.CLOSE) {
      this.state = State.ANSWERED;
      this.asker?.whole();
      return;
    }
    this.closed();
  }

  closed(): void {
    if (this.state === State.DEAD) return;
    const why = this.silent ? "closed without an answer" : "closed in the middle of its answer";
    if (this.faulty) this.give("SLUICE_INTERNAL", "failed inside");
    else this.give("SLUICE_BACKEND_CLOSED", why);
  }

  /** One of its handlers threw, which is no failure of the backend's. */
  faulted(error: Error): void {
    this.faulty = true;
    this.pool.faulted(error);
    this.socket?.terminate();
  }

  expired(): void {
    if (this.state === State.IDLE) {
      this.destroy();
      return;
    }
    // A client that reads slowly, or does not send its body, is watched on its own side.
    if (this.paused || (this.asker?.unsent && this.queued === 0)) this.within(this.idle.limits.readTimeout);
    else this.give("SLUICE_BACKEND_TIMEOUT", this.state === State.HEAD ? "no answer in time" : "no more data in time");
  }

  // ---- responses ---------------------------------------------------------------------------------------------------
  private readHead(chunk: Buffer): void {
    const { limits } = this.idle;
    const bytes = this.input === null ? chunk : Buffer.concat([this.input, chunk]);
    const decides = this.input === null || mayDecide(chunk, bytes.length, limits);
    this.input = decides ? null : bytes;
    this.silent = false;
    if (!decides) return;
    let at = 0;
    while (this.state === State.HEAD && at < bytes.length) {
      const asker = this.asker!;
      const end = parseResponse(bytes, at, bytes.length, limits, asker, responseHead);
      if (end < 0) {
        this.give("SLUICE_BACKEND_PROTOCOL", refusalOf(end).why);
        return;
      }
      if (end === 0) {
        this.input = bytes.subarray(at);
        return;
      }
      at = end;
      const { status } = responseHead;
      if (status === 101) {
        this.switch(bytes, at);
        return;
      }
      if (status >= 200) {
        this.keepAlive = responseHead.keepAlive;
        this.framing = responseHead.framing;
        this.left = responseHead.length;
        if (this.framing === Framing.CHUNKED)
          this.chunks = (this.chunks ?? new ChunkedReader()).reset(asker.wantsFrames, responseHead.fields.nominated);
        this.state = State.BODY;
        this.within(limits.readTimeout);
        asker.head(bytes);
        if (this.asker === asker) this.readBody(bytes, at);
        return;
      }
      if (++this.interims > INTERIMS) {
        this.give("SLUICE_BACKEND_PROTOCOL", refusalOf(Broken.INTERIM).why);
        return;
      }
      asker.interim(bytes);
      if (this.asker !== asker) return;
    }
  }

  private switch(bytes: Buffer, at: number): void {
    const asker = this.asker!;
    if (!asker.switched(bytes)) {
      this.give("SLUICE_BACKEND_PROTOCOL", refusalOf(Broken.SWITCH).why);
      return;
    }
    this.state = State.TUNNEL;
    this.within(this.idle.limits.tunnelTimeout);
    asker.tunnelled(bytes, at, bytes.length);
  }

  private readBody(bytes: Buffer, from: number): void {
    const asker = this.asker!;
    const { length } = bytes;
    let to = length;
    let whole = false;
    if (this.framing === Framing.LENGTH) {
      to = Math.min(length, from + this.left);
      this.left -= to - from;
      whole = this.left === 0;
      if (to > from) asker.part(bytes, from, to);
    } else if (this.framing === Framing.CHUNKED) {
      const chunks = this.chunks!;
      to = chunks.feed(bytes, from, length);
      for (let k = 0; k < chunks.count; k += 2) asker.part(bytes, chunks.ranges[k]!, chunks.ranges[k + 1]!);
      if (to < 0) {
        asker.sent();
        this.give("SLUICE_BACKEND_PROTOCOL", refusalOf(Broken.CHUNK).why);
        return;
      }
      if (chunks.tail !== null) asker.part(chunks.tail, 0, chunks.tail.length);
      whole = chunks.done;
    } else if (this.framing === Framing.CLOSE) {
      if (to > from) asker.part(bytes, from, to);
    } else {
      to = from;
      whole = true;
    }
    // What follows a whole response is not one (RFC 9112 6.3): the connection is not used again.
    if (whole && to < length) this.keepAlive = false;
    asker.sent();
    if (!this.paused && this.socket !== null) letGo(bytes);
    if (!whole && !this.paused && this.isLarge) whole = this.move(asker);
    if (whole) this.answered(asker);
    else this.within(this.idle.limits.readTimeout);
  }

  private get isLarge(): boolean {
    return this.framing === Framing.LENGTH && this.left >= LARGE;
  }

  private answered(asker: Asker): void {
    this.state = State.ANSWERED;
    this.idle.wheel.clear(this);
    asker.whole();
    // It has not sent its request whole.
    if (this.asker === asker) this.asked();
  }

  /** Passes more of a large body on, as long as it comes and the asker takes it. @returns whether the body is whole. */
  private move(asker: Asker): boolean {
    for (let k = 0; k < MOVES && this.left > 0 && this.asker === asker; k++) {
      const size = asker.moves(this.socket, this.left);
      if (size === 0) break;
      this.left -= size;
      this.within(this.idle.limits.readTimeout);
    }
    return this.left === 0;
  }

  /** Tells the asker, once, and goes. */
  private give(code: Code, detail: string): void {
    const { asker, silent } = this;
    this.destroy();
    asker?.failed(code, detail, silent);
  }
}

const dialler = new Dialler<Upstream>({
  open: (socket) => socket.data.opened(socket),
  data: (socket, chunk) => socket.data.received(chunk),
  drain: (socket) => socket.data.drained(),
  end: (socket) => socket.data.finished(),
  close: (socket) => socket.data.closed(),
  error: (socket, error) => socket.data.faulted(error),
  failed: (upstream, why, detail) => {
    // There is no socket whose `error` could hear of it.
    try {
      upstream.refused(why, detail);
    } catch (error) {
      upstream.faulted(error as Error);
    }
  },
});
