import type { Code } from "../core/codes.ts";
import type { Outcome } from "../core/scheduler.ts";
import { dateLine } from "../protocols/http/date.ts";
import { Field } from "../protocols/http/fields.ts";
import { isWord } from "../protocols/http/octets.ts";
import { Refused, refusalOf } from "../protocols/http/refusal.ts";
import { toReply } from "../protocols/http/reply.ts";
import { isIdempotent, Method, parseRequest } from "../protocols/http/request.ts";
import { Framing } from "../protocols/http/response.ts";
import { type RequestTail, type ResponseEdit, writeRequest, writeResponse } from "../protocols/http/write.ts";
import type { Backends } from "./backends.ts";
import { Reading } from "./client.ts";
import type { Pool } from "./pool.ts";
import { Cell } from "./service-state.ts";
import { Tunneller } from "./tunneller.ts";
import { type Asker, responseHead, type Upstream } from "./upstream.ts";
import { OUT } from "./wire.ts";

const NONE_TRIED: ReadonlySet<number> = new Set();
/** A request that may not be sent twice takes no pooled connection that has rested longer: it could be stale. ms */
const SAFE_REST = 1000;
/** Times that a request may have passed through an intermediary of our name. */
const LOOPS = 4;

const edit: ResponseEdit = { close: false, chunked: false, date: Buffer.alloc(0) };

/** A client connection whose requests go to backends, and their responses back (RFC 9110 7.6: a gateway). */
export class Forwarder extends Tunneller implements Asker {
  private tried: ReadonlySet<number> = NONE_TRIED;
  private attempts = 0;
  private repeated = false;
  /** Body bytes have gone to a backend: there is no second try. */
  private bodyBegun = false;
  private connecting = false;
  /** Bytes of a final response have gone to the client. */
  private responding = false;
  private responded = false;
  private framing: number = Framing.NONE;
  private idempotent = false;
  /** The upgrade word that is offered on; null: none. */
  private offer: Uint8Array | null = null;
  private tail: RequestTail | null = null;
  private tailOf: Backends | null = null;
  /** Offset in OUT of the message being put together for the backend. */
  private outward = 0;

  get wantsFrames(): boolean {
    return this.minor === 1;
  }
  get unsent(): boolean {
    return this.reading === Reading.BODY;
  }

  // ---- the request -------------------------------------------------------------------------------------------------
  protected request(): void {
    const { head } = this.front;
    const service = this.service!;
    if (this.tailOf !== service) {
      this.tail = service.tailFor(this.address, this.front.name);
      this.tailOf = service;
    }
    this.idempotent = isIdempotent(head.method);
    this.tried = NONE_TRIED;
    this.attempts = 0;
    this.repeated = this.bodyBegun = false;
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

  /** Picks a backend and sends; false when none is left. `parsed`: `front.head` is of this request still. */
  private choose(parsed: boolean): boolean {
    const service = this.service!;
    const backend = service.balancer.pick(this.key, this.tried);
    const pool = backend < 0 ? null : service.pool(backend);
    if (pool === null) return false;
    this.use(backend);
    const rest = this.idempotent && !this.unsent ? Number.POSITIVE_INFINITY : SAFE_REST;
    const pooled = pool.take(rest);
    if (pooled !== null) this.dispatch(pooled, parsed);
    else this.connect(pool);
    return true;
  }

  private connect(pool: Pool): void {
    this.connecting = true;
    this.upstream = pool.make(this);
    this.upstream.connect(); // may fail at once, and then has been replaced
  }

  private use(backend: number): void {
    const { balancer, cells } = this.service!;
    this.backend = backend;
    if (this.attempts++ > 0) {
      cells.add(-1, Cell.retries, 1);
      cells.add(backend, Cell.retries, 1);
    }
    balancer.began(backend);
    cells.add(backend, Cell.requests, 1);
    cells.add(backend, Cell.active, 1);
  }

  private unuse(outcome: Outcome): void {
    if (this.backend < 0) return;
    const { balancer, cells } = this.service!;
    balancer.ended(this.backend, outcome);
    cells.add(this.backend, Cell.active, -1);
    if (outcome === "failed") cells.add(this.backend, Cell.errors, 1);
    this.backend = -1;
  }

  connected(upstream: Upstream): void {
    this.dispatch(upstream, false);
    if (this.upstream === upstream && this.reading !== Reading.BODY) this.resume();
  }

  private dispatch(upstream: Upstream, parsed: boolean): void {
    const { front } = this;
    const { head } = front;
    const bytes = this.requestBytes!;
    this.connecting = false;
    this.upstream = upstream;
    upstream.begin(this);
    if (!parsed) parseRequest(bytes, this.requestStart, bytes.length, front.limits, head);
    const upgrade = this.offer !== null;
    this.outward = writeRequest(OUT, 0, bytes, head, this.tail!, upgrade);
    this.service!.cells.add(this.backend, Cell.bytesIn, this.outward);
    if (this.reading === Reading.BODY) this.takeBody();
    this.flushOutward();
  }

  private flushOutward(): void {
    const { upstream } = this;
    if (upstream === null) return;
    upstream.wire.send(OUT, 0, this.outward, true);
    this.outward = 0;
    upstream.asked();
    if (upstream.wire.queued > 0) this.pause();
    else if (this.reading === Reading.BODY) this.resume();
  }

  protected body(): void {
    if (this.connecting || this.upstream === null || this.upstream.wire.queued > 0) return;
    this.outward = 0;
    this.takeBody();
    this.flushOutward();
    this.finishWhenDone();
  }

  protected bodyPart(bytes: Buffer, start: number, end: number): void {
    this.bodyBegun = true;
    this.outward = this.upstream!.wire.gather(this.outward, bytes, start, end, false);
    this.service!.cells.add(this.backend, Cell.bytesIn, end - start);
  }

  writable(): void {
    if (this.reading === Reading.TUNNEL) {
      if (this.ended) this.upstream?.shutdown();
      this.resume();
      return;
    }
    this.resume();
    if (this.reading === Reading.BODY) this.body();
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
    this.framing = responseHead.framing;
    this.responding = true;
    // A client that still waits for 100 may or may not send its body now: what follows could be either.
    if (this.expect && this.unsent && !this.bodyBegun) this.close = true;
    if (this.framing === Framing.CLOSE || (this.framing === Framing.CHUNKED && this.minor === 0)) this.close = true;
    if (this.unsent && !responseHead.keepAlive) this.close = true;
    if (this.front.draining) this.close = true;
    this.sendHead(bytes, this.close);
  }

  private sendHead(bytes: Buffer, close: boolean): void {
    edit.close = close;
    edit.chunked = this.minor === 1;
    edit.date = dateLine(Date.now());
    this.out = writeResponse(OUT, 0, bytes, responseHead, edit);
    this.delivered(this.out);
  }

  part(bytes: Buffer, start: number, end: number): void {
    this.out = this.wire.gather(this.out, bytes, start, end, true);
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
    this.unuse("failed");
    const stale = !fresh && silent && code === "SLUICE_BACKEND_CLOSED";
    if (code !== "SLUICE_HTTP_CONNECTION_LIMIT" && !stale) service.observed(backend, code, detail);
    if (this.responding) {
      this.breakOff();
      return;
    }
    const safe = connecting || (silent && this.idempotent && code === "SLUICE_BACKEND_CLOSED");
    if (safe && !this.bodyBegun && this.retry(backend, stale)) return;
    const status = code === "SLUICE_HTTP_CONNECTION_LIMIT" ? 503 : code.endsWith("TIMEOUT") ? 504 : 502;
    this.fail(status, code, detail);
  }

  /** Sends the request once more: after a stale connection to the same backend, else to another. */
  private retry(backend: number, stale: boolean): boolean {
    const service = this.service!;
    if (this.attempts > service.retries) return false;
    const pool = service.pool(backend);
    if (stale && !this.repeated && pool !== null) {
      this.repeated = true;
      this.use(backend);
      this.connect(pool);
      return true;
    }
    if (this.tried === NONE_TRIED) this.tried = new Set();
    (this.tried as Set<number>).add(backend);
    return this.choose(false);
  }

  /** Takes an unanswered request away from a backend that is down; false when it must wait on. */
  moveOn(): void {
    if (this.responding || this.upstream === null || this.bodyBegun || !(this.connecting || this.idempotent)) return;
    const { upstream, backend } = this;
    this.upstream = null;
    this.connecting = false;
    upstream.release(false);
    this.unuse("failed");
    if (!this.retry(backend, false)) this.fail(502, "SLUICE_BACKEND_CLOSED", "taken down");
  }

  /** The rest of a response will not come: its client must see that it is not whole (RFC 9112 8). */
  private breakOff(): void {
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
    if (this.upstream !== null && this.upstream.wire.queued === 0) this.upstream.shutdown();
  }

  protected over(): void {
    const { upstream } = this;
    this.upstream = null;
    this.connecting = false;
    this.unuse(this.responded || this.reading === Reading.TUNNEL ? "done" : "aborted");
    this.responding = this.responded = false;
    upstream?.release(false);
  }

  private tunnelLost(): void {
    this.responded = true;
    this.unuse("done");
    this.hangUp();
  }
}
