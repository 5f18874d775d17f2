import type { Code } from "../core/codes.ts";
import { dateLine } from "../protocols/http/date.ts";
import type { Refusal } from "../protocols/http/refusal.ts";
import { toErrorReply } from "../protocols/http/reply.ts";
import { beginsHead } from "../protocols/http/request.ts";
import { LINGER, resetGently } from "../runtime/tcp.ts";
import { Accounted } from "./accounted.ts";
import { Reading } from "./connection.ts";
import { Cell, type ServiceState } from "./service-state.ts";

/** A client's connection as to what is answered here, and how it ends. */
export abstract class Answering<S extends ServiceState> extends Accounted<S> {
  protected reading: number = Reading.HEAD;
  isHead = false;
  /** The response of the request under way has been handed to the wire, whole. */
  protected answered = true;
  /** The peer has sent FIN. */
  protected ended = false;
  /** What the client had taken when it was looked at last. */
  protected progress = 0;
  /** It was cut, by the client or here: what was under way did not come to its end. */
  protected torn = false;
  /** All has been said, and FIN sent, or a reset is to follow. */
  protected shutting = false;

  /** The request under way is over, maybe before its end: let go of what works for it. */
  protected abstract over(): void;

  /** Refuses what the client sent: says why, and closes, for what follows cannot be told apart. */
  protected refuse({ status, code, why }: Refusal): void {
    this.front.log("info", "request refused", { client: this.address, status, code, why });
    this.fail(status, code, why);
  }

  /** Ends the request under way with an error made here, and closes. */
  protected fail(status: number, code: Code, why: string): void {
    const service = this.service ?? this.front.site.fallback;
    service?.cells.add(-1, Cell.errors, 1);
    this.reason = code;
    const unread = this.answered; // its head was refused
    if (unread) [this.began, this.outBytes] = [this.front.now(), 0];
    if (unread) this.isHead = this.input !== null && beginsHead(this.input, this.at);
    if (this.mayAnswer()) {
      this.status = status;
      const reply = { status, date: dateLine(Date.now()), close: true, isHead: this.isHead };
      this.answer(toErrorReply(code, why, reply));
    }
    if (unread && service?.log) this.record(service.log, true);
    this.hangUp();
  }

  /** False once a part of a response has left: another one behind it would be read as its body. */
  protected mayAnswer(): boolean {
    return true;
  }

  /** Sends a whole response of our own. */
  protected answer(reply: Buffer): void {
    this.send(reply, 0, reply.length);
    this.service?.cells.add(-1, Cell.bytesOut, reply.length);
    this.outBytes += reply.length;
    this.stalled();
  }

  /** The request under way is over, well or not. */
  protected settle(): void {
    if (this.answered) return;
    this.answered = true;
    if (this.service !== null && this.service.log !== null) this.record(this.service.log, false);
    this.service?.cells.add(-1, Cell.active, -1);
    this.over();
    this.requestBytes = null;
  }

  /** Watches a client that does not take its bytes. */
  protected stalled(): void {
    if (this.queued > 0 && this.deadline === Number.POSITIVE_INFINITY) {
      this.progress = this.taken;
      this.front.wheel.set(this, this.front.limits.stallTimeout);
    }
  }

  /** Closes once all that waits has gone out. */
  hangUp(): void {
    this.settle();
    this.reading = Reading.NOTHING;
    this.input = null;
    this.resume();
    if (this.queued === 0) this.shut();
    else this.front.wheel.set(this, this.front.limits.stallTimeout);
  }

  protected shut(): void {
    if (this.shutting || this.socket === null || this.queued > 0) return;
    this.shutting = true;
    if (this.torn) resetGently(this.socket);
    else if (this.ended) {
      this.socket.close();
      return;
    } else this.socket.shutdown();
    this.front.wheel.set(this, LINGER);
  }

  /** Closes at once, for all has been said on both sides. */
  protected leave(): void {
    this.reading = Reading.NOTHING;
    this.socket?.close();
  }

  /** Cuts the connection behind all that has come for the client: it must see that this is not whole. */
  protected tear(): void {
    this.torn = true;
    this.hangUp();
  }

  /** Cuts the connection at once, whatever waits. */
  terminate(): void {
    this.torn = true;
    this.settle();
    this.reading = Reading.NOTHING;
    this.socket?.terminate();
  }
}
