import type { Code } from "../core/codes.ts";
import { ChunkedReader } from "../protocols/http/chunked.ts";
import { mayDecide } from "../protocols/http/field-block.ts";
import { Refused, refusalOf } from "../protocols/http/refusal.ts";
import { Method, parseRequest } from "../protocols/http/request.ts";
import { INVALID, MORE } from "../protocols/proxy-protocol/read.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import { Answering } from "./answering.ts";
import { Reading } from "./connection.ts";
import { Cell, type ServiceState } from "./service-state.ts";

export { Reading } from "./connection.ts";

/** Bytes that a client may send ahead (pipelining, or a body while a backend is being reached) before reading stops. */
const AHEAD = 64 * 1024;

/**
 * One client connection: reads requests one after the other, strictly in order (RFC 9112 9.3), and hands each to the
 * method's subclass. Everything about the request under way is a field here, so that a request costs no object.
 */
export abstract class Client<S extends ServiceState = ServiceState> extends Answering<S> {
  /** Body bytes to come; -1 when it is chunked. */
  protected bodyLeft = 0;
  protected chunks: ChunkedReader | null = null;
  protected minor = 1;
  protected expect = false;
  /** No further request on this connection. */
  protected close = false;
  /** The client itself has said that it sends no further one. */
  private lastOne = false;
  /** A head has begun and is not whole: its time runs. */
  private partial = false;
  private requests = 0;
  /** It is counted at its listener; under what its address is counted, 0: under nothing. */
  held = false;
  addressKey = 0;
  /** It is beyond a limit, and is told so. */
  turnedAway = false;

  // ---- what a method does ------------------------------------------------------------------------------------------
  /** A request's head has been read: `front.head` over `requestBytes`. Answer it now or later. */
  protected abstract request(): void;
  /** More of the request's body is at hand: call `takeBody` now or later. */
  protected abstract body(): void;
  /** Bytes after an upgrade. */
  protected tunnel(_chunk: Buffer): void {}
  /** The client takes bytes again, all that waited is gone. */
  protected flushed(): void {}
  /** The client sent FIN in the middle of a request or tunnel. */
  protected abstract cut(): void;
  /** Takes `bytes[start, end)` of the request's body. */
  protected abstract bodyPart(bytes: Buffer, start: number, end: number): void;

  // ---- socket events -----------------------------------------------------------------------------------------------
  begin(socket: TcpSocket<Client<S>>): void {
    this.attach(socket as TcpSocket<unknown>);
    this.identify(socket.remoteAddress, this.front.seed);
  }

  /** It may stay. */
  opened(): void {
    this.awaited = this.front.introducers.has(this.address);
    this.front.wheel.set(this, this.front.limits.headTimeout);
    if (!this.awaited && this.front.admits(this)) this.welcome();
  }

  /** There is no room for it: says so, and closes. */
  turnAway(status: number, code: Code): void {
    this.turnedAway = true;
    this.fail(status, code, "");
  }

  /** The connection has another socket now. */
  moved(socket: TcpSocket<Client<S>>): void {
    if (this.socket !== null) this.attach(socket as TcpSocket<unknown>);
  }

  /** All that the client has to say has been read: only its answer is missing. */
  get rests(): boolean {
    return this.reading === Reading.NEXT && this.lastOne && this.input === null;
  }

  received(chunk: Buffer): void {
    if (this.reading === Reading.NOTHING) return;
    if (this.reading === Reading.TUNNEL) {
      this.tunnel(chunk);
      return;
    }
    this.append(chunk);
    if (this.awaited && !this.introduced()) return;
    if (this.reading === Reading.HEAD) {
      if (this.changes(chunk)) this.nextRequests();
    } else if (this.reading === Reading.BODY) this.body();
    if (this.input === null || this.input.length - this.at <= AHEAD) return;
    // A head may be that large; but requests are not read on while answers to those before wait for the client.
    if (this.reading !== Reading.HEAD || this.queued > 0) this.pause();
  }

  /** The PROXY header has come, and something behind it. */
  private introduced(): boolean {
    const verdict = this.introduce(this.front.seed);
    if (verdict === MORE) return false;
    if (verdict === INVALID)
      this.front.log("warn", "connection refused: no valid PROXY header", { client: this.address });
    if (verdict === INVALID) this.terminate();
    else if (this.front.admits(this)) this.welcome();
    return this.input !== null && this.reading !== Reading.NOTHING;
  }

  /** It is known who the client is. */
  protected welcome(): void {}

  private changes(chunk: Buffer): boolean {
    return !this.partial || mayDecide(chunk, this.input!.length - this.at, this.front.limits);
  }

  drained(): void {
    if (!this.flush()) return;
    if (this.reading === Reading.NOTHING) {
      this.shut();
      return;
    }
    this.flushed();
    if (this.reading === Reading.HEAD) this.nextRequests();
  }

  finished(): void {
    if (this.reading === Reading.TUNNEL && this.broken) {
      this.terminate();
      return;
    }
    this.ended = true;
    if (this.reading === Reading.HEAD) {
      // Requests that wait for it to take an answer have come before the end, and get theirs.
      if (this.input === null || this.queued === 0) this.hangUp();
    } else if (this.reading === Reading.BODY || this.reading === Reading.TUNNEL) this.cut();
    else if (this.reading === Reading.NOTHING) this.shut();
  }

  /** `torn`: it was reset. */
  closed(torn: boolean): void {
    if (torn) this.torn = true;
    // First of all: its descriptor may soon be another's.
    this.drop();
    this.settle();
    this.reading = Reading.NOTHING;
    this.front.wheel.remove(this);
    this.input = this.requestBytes = null;
    this.front.left(this);
  }

  expired(): void {
    const { wheel, limits } = this.front;
    if (this.shutting) this.socket?.terminate();
    else if (this.queued > 0) {
      if (this.taken === this.progress) {
        this.terminate();
        return;
      }
      this.progress = this.taken;
      wheel.set(this, limits.stallTimeout);
    } else if (this.reading === Reading.HEAD) {
      if (this.input === null) this.hangUp();
      else this.refuse({ status: 408, code: "SLUICE_HTTP_REQUEST_TIMEOUT", why: "head not whole in time" });
    } else if (this.reading === Reading.BODY) {
      // What is there and not taken waits for a backend, whose own time runs.
      if (this.paused || this.input !== null) wheel.set(this, limits.bodyTimeout);
      else this.refuse({ status: 408, code: "SLUICE_HTTP_REQUEST_TIMEOUT", why: "body not whole in time" });
    }
  }

  // ---- requests ----------------------------------------------------------------------------------------------------
  /** Reads requests from what is at hand, as long as each is answered at once. */
  protected nextRequests(): void {
    const { front } = this;
    while (this.reading === Reading.HEAD) {
      if (this.queued > 0) {
        this.stalled(); // a client that does not read gets no more work done
        return;
      }
      this.resume();
      const { input } = this;
      if (input === null) {
        if (this.ended) this.hangUp();
        return;
      }
      const end = parseRequest(input, this.at, input.length, front.limits, front.head);
      if (end < 0) {
        this.refuse(refusalOf(end));
        return;
      }
      if (end === 0) {
        if (this.ended) this.hangUp();
        else if (!this.partial) {
          this.partial = true;
          front.wheel.set(this, front.limits.headTimeout);
        }
        return;
      }
      this.beginRequest(input, end);
    }
  }

  private beginRequest(input: Buffer, end: number): void {
    const { front } = this;
    const { head, wheel, limits } = front;
    this.requestBytes = input;
    this.requestStart = this.at;
    this.consume(end);
    this.requests++;
    this.partial = false;
    this.isHead = head.method === Method.HEAD;
    this.minor = head.minor;
    this.expect = head.expect;
    this.lastOne = head.close;
    this.close = head.close || front.draining || this.requests >= limits.requests;
    this.answered = false;
    this.status = this.outBytes = 0;
    this.reason = "";
    if (head.chunked) {
      this.bodyLeft = -1;
      this.chunks = (this.chunks ?? new ChunkedReader()).reset(true, head.fields.nominated);
    } else this.bodyLeft = Math.max(0, head.length);
    if (this.bodyLeft === 0) {
      this.reading = Reading.NEXT;
      wheel.clear(this);
    } else {
      this.reading = Reading.BODY;
      wheel.set(this, limits.bodyTimeout);
    }
    this.service = front.site.find(input, head.hostStart, head.hostEnd);
    if (this.service === null) {
      this.refuse({ status: 404, code: "SLUICE_HTTP_NO_SERVICE", why: "" });
      return;
    }
    this.count(this.service, end - this.requestStart);
    if (this.service.log !== null) this.began = front.now();
    if (this.bodyLeft > limits.body) {
      this.refuse(refusalOf(Refused.BODY_LARGE));
      return;
    }
    this.request();
  }

  /**
   * Hands the body bytes at hand, up to the body's end, to `bodyPart`. `reading` is NEXT when the body is whole, NOTHING
   * when it was refused.
   */
  protected takeBody(): void {
    const { input, chunks } = this;
    const { wheel, limits } = this.front;
    if (input === null || this.reading !== Reading.BODY) return;
    const from = this.at;
    let to: number;
    if (this.bodyLeft >= 0) {
      to = Math.min(input.length, from + this.bodyLeft);
      this.bodyLeft -= to - from;
      this.consume(to);
      if (this.bodyLeft === 0) this.reading = Reading.NEXT;
      this.bodyPart(input, from, to);
    } else {
      to = chunks!.feed(input, from, input.length);
      if (to < 0) {
        this.refuse(refusalOf(Refused.CHUNK));
        return;
      }
      if (chunks!.total > limits.body) {
        this.refuse(refusalOf(Refused.BODY_LARGE));
        return;
      }
      this.consume(to);
      if (chunks!.done) this.reading = Reading.NEXT;
      for (let k = 0; k < chunks!.count; k += 2) this.bodyPart(input, chunks!.ranges[k]!, chunks!.ranges[k + 1]!);
      if (chunks!.tail !== null) this.bodyPart(chunks!.tail, 0, chunks!.tail.length);
    }
    this.service!.cells.add(-1, Cell.bytesIn, to - from);
    if (this.reading === Reading.NEXT) wheel.clear(this);
    else wheel.set(this, limits.bodyTimeout);
  }

  /** After a whole request and its whole response: closes, or goes on. */
  protected next(): void {
    const { front } = this;
    const close = this.close || (front.draining && this.input === null);
    this.settle();
    if (close) {
      // It has said that nothing follows, and nothing has: there is no one to linger for (RFC 9112 9.6).
      if (this.lastOne && this.input === null && this.queued === 0) this.leave();
      else this.hangUp();
      return;
    }
    this.reading = Reading.HEAD;
    this.service = null;
    this.expect = this.isHead = false;
    front.wheel.set(this, front.limits.idleTimeout);
  }

  /** Is there nothing under way? */
  get idle(): boolean {
    return this.reading === Reading.HEAD && this.input === null;
  }
}
