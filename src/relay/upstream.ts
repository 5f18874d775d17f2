import type { Code } from "../core/codes.ts";
import { Framing } from "../protocols/http/response.ts";
import { Dialler } from "../runtime/dial.ts";
import { type ConnectFailure, closeGently, resetGently, type TcpSocket } from "../runtime/tcp.ts";
import type { Asker } from "./asker.ts";
import { connectCodes } from "./blame.ts";
import type { Pool } from "./pool.ts";
import { Responses, State } from "./responses.ts";

/** One connection to a backend: reads responses strictly, one for each request, and is used again only when whole. */
export class Upstream extends Responses {
  /** The idle one that is given out after it; of no meaning while it works. */
  below: Upstream | null = null;
  /** The backend's: a message need not look at the pool. */
  readonly id: number;
  /** It has carried a response: one that has carried none cannot be stale. */
  served = false;
  private faulty = false;
  private attempt: { cancel(): void } | null = null;
  private readonly pool: Pool;

  constructor(pool: Pool, asker: Asker | null) {
    super(pool.idle, asker);
    this.id = pool.backend.id;
    this.pool = pool;
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
    this.interims = -1;
  }

  /** Passes bytes for `asker` from now on, whatever they are. */
  beginTunnel(asker: Asker): void {
    this.asker = asker;
    this.state = State.TUNNEL;
    this.alive();
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
    return this.keepAlive;
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
    const spent = !this.keepAlive || this.input !== null || this.queued > 0 || this.state === State.TUNNEL;
    if (!whole || spent || this.state === State.DEAD) {
      this.destroy(whole);
      return;
    }
    this.resume();
    this.served = true;
    this.idle.give(this);
  }

  /** For how long it has had no work, ms; without end when the program stood still meanwhile, nobody knows for how long. */
  get rested(): number {
    const { wheel, limits } = this.idle;
    const since = this.deadline - limits.poolTimeout;
    return since <= wheel.stoodAt ? Number.POSITIVE_INFINITY : wheel.now - since;
  }

  /** It has no work, and is given out before `below`. */
  rest(below: Upstream | null): void {
    const { wheel, limits } = this.idle;
    this.below = below;
    this.state = State.IDLE;
    wheel.set(this, limits.poolTimeout);
  }

  /** `ended`: of a tunnel, that its client has ended it; else it was cut, and is reset. */
  destroy(ended = false): void {
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
    if (!gently) socket.terminate();
    else if (ended) closeGently(socket);
    else resetGently(socket);
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
    this.keepAlive = false;
    if (this.broken) {
      this.closed(true);
      return;
    }
    if (this.state === State.TUNNEL) {
      this.asker?.halfClosed();
      return;
    }
    if (this.state === State.BODY && this.framing === Framing.CLOSE) {
      this.state = State.ANSWERED;
      this.asker?.whole();
      return;
    }
    this.closed(false);
  }

  /** `torn`: it was reset. */
  closed(torn: boolean): void {
    if (this.state === State.DEAD) return;
    if (this.state === State.TUNNEL && !torn && !this.faulty) {
      const { asker } = this;
      this.destroy(true);
      asker?.whole();
      return;
    }
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

  protected give(code: Code, detail: string): void {
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
  close: (socket, error) => socket.data.closed(error !== undefined),
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
