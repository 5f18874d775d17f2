import { dateLine } from "../protocols/http/date.ts";
import { Field } from "../protocols/http/fields.ts";
import { isWord } from "../protocols/http/octets.ts";
import { Refused, refusalOf } from "../protocols/http/refusal.ts";
import { toReply } from "../protocols/http/reply.ts";
import { isIdempotent, Method, parseRequest } from "../protocols/http/request.ts";
import { type RequestTail, writeRequest } from "../protocols/http/write.ts";
import { letGo } from "../runtime/chunk.ts";
import { OUT } from "../runtime/outbox.ts";
import type { Backends } from "./backends.ts";
import { Reading } from "./client.ts";
import type { Pool } from "./pool.ts";
import { Responder } from "./responder.ts";
import { AMBIGUOUS, dropEdited } from "./routes.ts";
import { Cell } from "./service-state.ts";
import { editTarget } from "./target-edit.ts";
import type { Upstream } from "./upstream.ts";
import { LARGE, MOVES } from "./wire.ts";

/** Times that a request may have passed through an intermediary of our name. */
const LOOPS = 4;

/** A client connection whose requests go to backends, and their responses back (RFC 9110 7.6: a gateway). */
export class Forwarder extends Responder {
  /** No byte of `requestBytes` waits for the backend to take it. */
  private headOut = false;
  private tail: RequestTail | null = null;
  private tailOf: Backends | null = null;
  /** The client's place, for services that go by it; -1: none. */
  private place = -1;
  /** Offset in OUT of the message being put together for the backend. */
  private outward = 0;

  protected request(): void {
    const { head } = this.front;
    const service = this.service!;
    if (this.tailOf !== service) {
      this.tail = service.tailFor(this.address, this.front.name);
      this.place = service.placeOf(this.address);
      this.tailOf = service;
    }
    this.idempotent = isIdempotent(head.method);
    const route = service.routes === null ? null : service.routes.find(this.requestBytes!, head, this.place);
    if (route === AMBIGUOUS) {
      this.route = null;
      this.refuse(refusalOf(Refused.PATH));
      return;
    }
    this.route = route;
    // What a route takes out of heads, or writes there itself, must not come behind the body.
    if (head.chunked && this.route !== null) this.chunks!.reset(true, head.fields.nominated, this.route.request.drop);
    const among = service.amongFor(this.route, this.place);
    const { sticky } = service;
    this.enterGate(among, sticky === null ? -1 : sticky.home(this.requestBytes!, head.fields, among, this));
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
      if (size <= 0) return;
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

  protected override over(): void {
    super.over();
    // With a body in it it is large, and was sent for good.
    const { requestBytes } = this;
    if (this.bodyBegun && this.headOut && requestBytes !== null && requestBytes !== this.input) letGo(requestBytes);
  }
}
