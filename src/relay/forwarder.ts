import type { Code } from "../core/codes.ts";
import { dateLine } from "../protocols/http/date.ts";
import { Field } from "../protocols/http/fields.ts";
import { isWord } from "../protocols/http/octets.ts";
import { Refused, refusalOf } from "../protocols/http/refusal.ts";
import { toReply } from "../protocols/http/reply.ts";
import { isIdempotent, Method, parseRequest } from "../protocols/http/request.ts";
import { Framing } from "../protocols/http/response.ts";
import { type RequestTail, type ResponseEdit, writeRequest, writeResponse } from "../protocols/http/write.ts";
import { letGo } from "../runtime/chunk.ts";
import { OUT } from "../runtime/outbox.ts";
import type { Asker } from "./asker.ts";
import type { Backends } from "./backends.ts";
import { isOurs, statusOf } from "./blame.ts";
import { Reading } from "./client.ts";
import type { Pool } from "./pool.ts";
import { dropEdited, type Route } from "./routes.ts";
import { Seeker } from "./seeker.ts";
import { Cell } from "./service-state.ts";
import { editTarget } from "./target-edit.ts";
import { responseHead, type Upstream } from "./upstream.ts";
import { LARGE, MOVES } from "./wire.ts";

/** Times that a request may have passed through an intermediary of our name. */
const LOOPS = 4;

const edit: ResponseEdit = { close: false, chunked: false, date: Buffer.alloc(0), extra: null };

/** A client connection whose requests go to backends, and their responses back (RFC 9110 7.6: a gateway). */
export class Forwarder extends Seeker implements Asker {
  /** Body bytes have gone to a backend: there is no second try. */
  private bodyBegun = false;
  /** No byte of `requestBytes` waits for the backend to take it. */
  private headOut = false;
  /** Bytes of a final response have gone to the client. */
  private responding = false;
  private responded = false;
  private framing: number = Framing.NONE;
  /** The upgrade word that is offered on; null: none. */
  private offer: Uint8Array | null = null;
  private route: Route | null = null;
  private tail: RequestTail | null = null;
  private tailOf: Backends | null = null;
  /** The client's place, for services that go by it; -1: none. */
  private place = -1;
  /** Offset in OUT of the message being put together for the backend. */
  private outward = 0;

  get wantsFrames(): boolean {
    return this.minor === 1;
  }

  // ---- the request -------------------------------------------------------------------------------------------------
  protected request(): void {
    const { head } = this.front;
    const service = this.service!;
    if (this.tailOf !== service) {
      this.tail = service.tailFor(this.address, this.front.name);
      this.place = service.placeOf(this.address);
      this.tailOf = service;
    }
    this.idempotent = isIdempotent(head.method);
    this.route = service.routes === null ? null : service.routes.find(this.requestBytes!, head, this.place);
    const among = service.amongFor(this.route, this.place);
    const { sticky } = service;
    this.enterGate(among, sticky === null ? -1 : sticky.home(this.requestBytes!, head.fields, among, this.key));
    this.bodyBegun = false;
    this.offer = this.offered();
    if (head.maxForwards === 0 && head.method === Method.OPTIONS) {
      this.answerOptions();
      return;
    }
    if (head.fields.find(Field.VIA) >= 0 && service.loops(this.requestBytes!, head.fields) > LOOPS) {
      this.refuse(refusalOf(Refused.LOOP));
      return;
    }
    if (!this.choose(true)) this.fail(503, "SLUICE_NO_BACKEND", "");
  }

  /** RFC 9110 7.6.2: the last recipient answers itself. */
  private answerOptions(): void {
    const close = this.close || this.unsent;
    this.close = close;
    this.status = 200;
    const fields = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
    this.answer(toReply({ status: 200, date: dateLine(Date.now()), close, isHead: false, fields, body: "" }));
    this.next();
  }

  /** The client's Upgrade, when it is exactly one word that is let through. */
  private offered(): Uint8Array | null {
    const { head } = this.front;
    if (head.upgrade < 0) return null;
    const { value, valueEnd } = head.fields;
    const from = value[head.upgrade]!;
    const to = valueEnd[head.upgrade]!;
    for (const word of this.service!.upgrades) if (isWord(this.requestBytes!, from, to, word)) return word;
    return null;
  }

  protected connect(pool: Pool): void {
    this.connecting = true;
    this.upstream = pool.make(this);
    this.upstream.connect(); // may fail at once, and then has been replaced
  }

  connected(upstream: Upstream): void {
    this.dispatch(upstream, false);
    if (this.upstream === upstream && this.reading !== Reading.BODY) this.resume();
  }

  protected dispatch(upstream: Upstream, parsed: boolean): void {
    const { front } = this;
    const { head } = front;
    const bytes = this.requestBytes!;
    this.connecting = false;
    this.upstream = upstream;
    upstream.begin(this);
    if (!parsed) parseRequest(bytes, this.requestStart, bytes.length, front.limits, head);
    const upgrade = this.offer !== null;
    const edits = this.route?.request ?? null;
    if (edits !== null) dropEdited(bytes, head.fields, edits);
    const target = this.route?.target ?? null;
    const instead = target === null ? null : editTarget(target, bytes, head);
    this.outward = writeRequest(OUT, 0, bytes, head, this.tail!, upgrade, edits?.lines, instead);
    if (this.outward > OUT.length) {
      this.refuse(refusalOf(Refused.HEAD_LARGE));
      return;
    }
    this.service!.cells.add(this.backend, Cell.bytesIn, this.outward);
    const headEnd = this.input === bytes ? this.at : -1;
    if (this.reading === Reading.BODY) this.takeBody();
    this.flushOutward();
    this.headOut = upstream.queued === 0;
    if (this.headOut && headEnd >= 0 && this.input === null) this.keepHead(bytes, headEnd);
    this.move(upstream);
  }

  /** The body's begin behind the head has gone out for good: its memory is for the next chunk. */
  private keepHead(bytes: Buffer, headEnd: number): void {
    if (bytes.length - headEnd < LARGE) return;
    this.requestBytes = Buffer.from(bytes.subarray(this.requestStart, headEnd));
    this.requestStart = 0;
    letGo(bytes);
  }

  private flushOutward(): void {
    const { upstream } = this;
    if (upstream === null) return;
    upstream.send(OUT, 0, this.outward);
    this.outward = 0;
    upstream.asked();
    if (upstream.queued > 0) this.pause();
    else if (this.reading === Reading.BODY) this.resume();
  }

  protected body(): void {
    if (this.connecting || this.upstream === null || this.upstream.queued > 0) return;
    const { input, upstream } = this;
    this.outward = 0;
    this.takeBody();
    this.flushOutward();
    if (input !== null && this.input === null && input !== this.requestBytes && upstream.queued === 0) letGo(input);
    if (input !== null) this.move(upstream);
    this.finishWhenDone();
  }

  /** Passes more of a large body on, as long as it comes and the backend takes it. */
  private move(upstream: Upstream): void {
    const { wheel, limits } = this.front;
    for (let k = 0; k < MOVES && this.reading === Reading.BODY && this.upstream === upstream; k++) {
      if (this.bodyLeft < LARGE || this.input !== null) return;
      const size = upstream.splice(this.socket, this.bodyLeft);
      if (size === 0) return;
      this.bodyLeft -= size;
      this.service!.cells.add(-1, Cell.bytesIn, size);
      this.service!.cells.add(this.backend, Cell.bytesIn, size);
      if (this.bodyLeft === 0) this.reading = Reading.NEXT;
      if (this.bodyLeft === 0) wheel.clear(this);
      else wheel.set(this, limits.bodyTimeout);
      upstream.asked();
      if (upstream.queued > 0) this.pause();
    }
  }

  protected bodyPart(bytes: Buffer, start: number, end: number): void {
    this.bodyBegun = true;
    this.outward = this.upstream!.gather(this.outward, bytes, start, end);
    this.service!.cells.add(this.backend, Cell.bytesIn, end - start);
  }

  writable(): void {
    if (this.reading === Reading.TUNNEL) {
      if (this.ended) this.upstream?.shutdown();
      this.resume();
      return;
    }
    const { upstream } = this;
    if (upstream !== null) {
      // What waits in the kernel goes first; as long as that fills the connection, the client need not be read.
      this.move(upstream);
      if (upstream.queued > 0) return;
    }
    this.resume();
    if (this.reading === Reading.BODY) this.body();
    else this.finishWhenDone();
  }

  // ---- the response ------------------------------------------------------------------------------------------------
  interim(bytes: Buffer): void {
    // HTTP/1.0 knows no 1xx (RFC 9110 15.2).
    if (this.minor === 0) return;
    this.sendHead(bytes, false);
    this.sent();
  }

  switched(bytes: Buffer): boolean {
    const { fields, upgrade } = responseHead;
    if (this.offer === null || upgrade < 0) return false;
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
    const { retries } = this.service!;
    const { balancer, gate } = this.among!;
    const { backend, upstream } = this;
    if (!this.idempotent || this.bodyBegun || this.unsent || this.attempts > retries || !gate.mayRepeat()) return false;
    if (!gate.hasOther(balancer, backend, this.tried)) return false;
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
    this.responded = true;
    this.finishWhenDone();
  }

  private finishWhenDone(): void {
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
    const fresh = this.upstream === null || this.upstream.served === 0;
    this.upstream = null;
    this.connecting = false;
    if (this.reading === Reading.TUNNEL) {
      this.tunnelLost();
      return;
    }
    if (this.responded) {
      this.hangUp();
      return;
    }
    const stale = !fresh && silent && code === "SLUICE_BACKEND_CLOSED";
    // Neither a kept connection whose time was up nor a lack or fault of our own is the backend's failure.
    const blameless = stale || isOurs(code);
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

  /** Takes an unanswered request away from a backend that is down; false when it must wait on. */
  moveOn(): void {
    if (this.responding || this.upstream === null || this.bodyBegun || !(this.connecting || this.idempotent)) return;
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
    if (this.framing === Framing.CLOSE || this.minor === 0) this.terminate();
    else this.hangUp();
  }

  protected override mayAnswer(): boolean {
    return !this.responding;
  }

  protected cut(): void {
    if (this.reading !== Reading.TUNNEL) {
      this.terminate();
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
    upstream?.release(false);
    // With a body in it it is large, and was sent for good.
    const { requestBytes } = this;
    if (this.bodyBegun && this.headOut && requestBytes !== null && requestBytes !== this.input) letGo(requestBytes);
  }

  private tunnelLost(): void {
    this.responded = true;
    this.unuse("done");
    this.hangUp();
  }
}
