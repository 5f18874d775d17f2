import type { Code } from "../core/codes.ts";
import { dateLine } from "../protocols/http/date.ts";
import { isWord } from "../protocols/http/octets.ts";
import { Framing } from "../protocols/http/response.ts";
import { type ResponseEdit, writeResponse } from "../protocols/http/write.ts";
import { OUT } from "../runtime/outbox.ts";
import type { Asker } from "./asker.ts";
import { isOurs, statusOf } from "./blame.ts";
import { Reading } from "./client.ts";
import { responseHead } from "./responses.ts";
import { dropEdited, type Route } from "./routes.ts";
import { Seeker } from "./seeker.ts";
import { Cell } from "./service-state.ts";
import type { Upstream } from "./upstream.ts";

/** A client that has not sent more of its body for so long may be what a backend was tired of; ms. */
const DAWDLES = 1000;
const NOTHING: readonly Uint8Array[] = [];
const edit: ResponseEdit = { close: false, chunked: false, date: Buffer.alloc(0), extra: null };

/** A client connection that gets what backends answer: their responses as they come, or another try, or an error. */
export abstract class Responder extends Seeker implements Asker {
  /** Body bytes have gone to a backend: there is no second try. */
  protected bodyBegun = false;
  /** Bytes of a final response have gone to the client. */
  private responding = false;
  private responded = false;
  private framing: number = Framing.NONE;
  /** The upgrade word that is offered on; null: none. */
  protected offer: Uint8Array | null = null;
  protected route: Route | null = null;

  get wantsFrames(): boolean {
    return this.minor === 1;
  }

  get withheld(): readonly Uint8Array[] {
    return this.route === null ? NOTHING : this.route.response.drop;
  }

  abstract connected(upstream: Upstream): void;
  abstract writable(): void;

  // ---- the response ------------------------------------------------------------------------------------------------
  interim(bytes: Buffer): void {
    // HTTP/1.0 knows no 1xx (RFC 9110 15.2).
    if (this.minor === 0) return;
    this.sendHead(bytes, false);
    this.sent();
  }

  switched(bytes: Buffer): boolean {
    const { fields, upgrade, minor } = responseHead;
    // HTTP/1.0 knows no Upgrade and no 1xx (RFC 9110 7.8, 15.2).
    if (this.offer === null || upgrade < 0 || minor === 0) return false;
    if (!isWord(bytes, fields.value[upgrade]!, fields.valueEnd[upgrade]!, this.offer)) return false;
    this.responding = true;
    this.status = 101;
    this.sendHead(bytes, false);
    this.sent();
    this.reading = Reading.TUNNEL;
    this.close = true;
    const { input, at } = this;
    this.input = null;
    this.resume();
    if (input !== null) this.tunnel(input.subarray(at));
    if (this.ended) this.cut();
    return true;
  }

  head(bytes: Buffer): void {
    const { status } = responseHead;
    this.answeredAt();
    if (status >= 400) {
      this.service!.answeredWith(this.backend, status);
      if (this.service!.retriesOn(status) && this.elsewhere()) return;
    }
    this.status = status;
    this.framing = responseHead.framing;
    this.responding = true;
    // A client that still waits for 100 may or may not send its body now: what follows could be either.
    if (this.expect && this.unsent && !this.bodyBegun) this.close = true;
    if (this.framing === Framing.CLOSE || (this.framing === Framing.CHUNKED && this.minor === 0)) this.close = true;
    if (this.unsent && !responseHead.keepAlive) this.close = true;
    if (this.front.draining) this.close = true;
    this.sendHead(bytes, this.close);
  }

  /** Sends the request to another backend than the one that answered, when that is safe and there is one. */
  private elsewhere(): boolean {
    const { backend, upstream } = this;
    if (!this.idempotent || this.bodyBegun || this.unsent || !this.hasOther || !this.among!.gate.mayRepeat())
      return false;
    this.upstream = null;
    this.unuse("failed");
    upstream!.release(false);
    if (!this.retry(backend, false, true)) this.fail(502, "SLUICE_BACKEND_STATUS", "");
    return true;
  }

  private sendHead(bytes: Buffer, close: boolean): void {
    edit.close = close;
    edit.chunked = this.minor === 1;
    if (!responseHead.hasDate) edit.date = dateLine(this.front.wheel.date);
    const edits = responseHead.status < 200 ? null : (this.route?.response ?? null);
    if (edits !== null) dropEdited(bytes, responseHead.fields, edits);
    edit.extra = this.extraLines(edits?.lines ?? null);
    this.out = writeResponse(OUT, 0, bytes, responseHead, edit);
    this.delivered(this.out);
  }

  /** The route's lines, and a cookie for a client that has none of this backend. */
  private extraLines(lines: Buffer | null): Buffer | null {
    const { sticky } = this.service!;
    if (sticky === null || this.backend === this.home || responseHead.status < 200) return lines;
    const cookie = sticky.line(this.backend);
    return lines === null || cookie === null ? (lines ?? cookie) : Buffer.concat([lines, cookie]);
  }

  part(bytes: Buffer, start: number, end: number): void {
    this.out = this.gather(this.out, bytes, start, end);
    this.delivered(end - start);
  }

  whole(): void {
    if (this.reading === Reading.TUNNEL) {
      this.hangUp();
      return;
    }
    this.responded = true;
    this.finishWhenDone();
  }

  /** Goes on to the next request once the response is whole, and the request too. */
  protected finishWhenDone(): void {
    if (!this.responded || this.upstream === null) return;
    if (this.unsent) {
      // The backend may still read the rest; when it does not, the rest cannot be told from a next request.
      if (this.close || !this.upstream.lasting) this.hangUp();
      return;
    }
    const { upstream } = this;
    this.upstream = null;
    this.unuse("done");
    upstream.release(true);
    this.next();
    this.nextRequests();
  }

  // ---- failures ----------------------------------------------------------------------------------------------------
  failed(code: Code, detail: string, silent: boolean): void {
    const service = this.service!;
    const { backend, connecting } = this;
    const fresh = !this.upstream?.served;
    this.upstream = null;
    this.connecting = false;
    if (this.reading === Reading.TUNNEL) {
      this.tear();
      return;
    }
    if (this.responded) {
      this.hangUp();
      return;
    }
    const stale = !fresh && silent && code === "SLUICE_BACKEND_CLOSED";
    // Neither a kept connection whose time was up, nor a lack or fault of our own, nor the end of its patience with a
    // client that does not send the body it has announced, is the backend's failure.
    const blameless = stale || isOurs(code) || (code === "SLUICE_BACKEND_CLOSED" && this.keepsWaiting);
    this.unuse(blameless ? "aborted" : "failed");
    if (!blameless) service.observed(backend, code, detail);
    if (this.responding) {
      this.breakOff(code);
      return;
    }
    const again =
      code === "SLUICE_BACKEND_CLOSED" ||
      (code === "SLUICE_BACKEND_TIMEOUT" && !this.unsent && service.retriesOn("timeout"));
    const safe = connecting || (silent && this.idempotent && again);
    if (safe && !this.bodyBegun && this.retry(backend, stale, !connecting)) return;
    this.fail(statusOf(code), code, detail);
  }

  /** Does the client owe a part of its body, of which nothing has come for a while? */
  private get keepsWaiting(): boolean {
    const { wheel, limits } = this.front;
    if (!this.unsent || this.paused || this.input !== null) return false;
    return wheel.now - (this.deadline - limits.bodyTimeout) >= DAWDLES;
  }

  /** Takes an unanswered request away from a backend that is down. Where there is no other it waits on: it may be answered. */
  moveOn(): void {
    if (
      !this.hasOther ||
      this.responding ||
      this.upstream === null ||
      this.bodyBegun ||
      !(this.connecting || this.idempotent)
    )
      return;
    const { connecting } = this;
    if (!connecting && !this.among!.gate.mayRepeat()) return;
    const { upstream, backend } = this;
    this.upstream = null;
    this.connecting = false;
    upstream.release(false);
    this.unuse("failed");
    if (!this.retry(backend, false, !connecting)) this.fail(502, "SLUICE_BACKEND_CLOSED", "taken down");
  }

  protected override fail(status: number, code: Code, why: string): void {
    if (this.responding && !this.responded) this.breakOff(code);
    else super.fail(status, code, why);
  }

  /** The rest of a response will not come: its client must see that it is not whole (RFC 9112 8), and the log too. */
  private breakOff(code: Code): void {
    this.reason = code;
    this.service!.cells.add(-1, Cell.errors, 1);
    if (this.framing === Framing.CLOSE || this.minor === 0) this.tear();
    else this.hangUp();
  }

  protected override mayAnswer(): boolean {
    return !this.responding;
  }

  protected cut(): void {
    if (this.reading !== Reading.TUNNEL) {
      // It may have been answered before it said all, and still gets that, as far as the time for its body goes.
      if (this.responded) this.hangUp();
      else if (this.responding) this.close = true;
      else this.terminate();
      return;
    }
    if (this.upstream !== null && this.upstream.queued === 0) this.upstream.shutdown();
  }

  protected over(): void {
    const { upstream } = this;
    this.upstream = null;
    this.connecting = false;
    this.unuse(this.responded || this.reading === Reading.TUNNEL ? "done" : "aborted");
    this.leaveGate();
    this.responding = this.responded = false;
    upstream?.release(this.reading === Reading.TUNNEL && !this.torn);
  }
}
