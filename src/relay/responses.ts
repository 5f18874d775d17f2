import type { Code } from "../core/codes.ts";
import { ChunkedReader } from "../protocols/http/chunked.ts";
import { mayDecide } from "../protocols/http/field-block.ts";
import { Broken, refusalOf } from "../protocols/http/refusal.ts";
import { Framing, parseResponse, ResponseHead } from "../protocols/http/response.ts";
import { letGo } from "../runtime/chunk.ts";
import type { Asker } from "./asker.ts";
import type { Idle } from "./idle.ts";
import { LARGE, MOVES, Wire } from "./wire.ts";

/** What a backend's connection is at. */
export const State = { CONNECTING: 0, IDLE: 1, HEAD: 2, BODY: 3, ANSWERED: 4, TUNNEL: 5, DEAD: 6 } as const;

/** 1xx responses before the final one. */
const INTERIMS = 32;
/** Fields of a response. */
export const RESPONSE_FIELDS = 256;

/** The response head under way; one per process, valid until the next read. */
export const responseHead = new ResponseHead({ fields: RESPONSE_FIELDS });

/** Reads a backend's responses strictly, one for each request, and tells whoever asks what comes. */
export abstract class Responses extends Wire {
  protected state: number = State.CONNECTING;
  protected input: Buffer | null = null;
  private left = 0;
  protected framing: number = Framing.NONE;
  protected asker: Asker | null;
  protected keepAlive = false;
  /** 1xx responses that have come; -1: not a byte has. */
  protected interims = -1;
  protected paused = false;
  protected readonly idle: Idle;
  private chunks: ChunkedReader | null = null;

  constructor(idle: Idle, asker: Asker | null) {
    super();
    this.asker = asker;
    this.idle = idle;
  }

  /** Has not a byte of a response come? */
  protected get silent(): boolean {
    return this.interims < 0;
  }

  /** Tells the asker, once, and goes. */
  protected abstract give(code: Code, detail: string): void;

  /** A part of the request has gone out: the backend's time to answer, or to take the rest, runs from here. */
  asked(): void {
    if (this.state === State.HEAD) this.within(this.idle.limits.responseTimeout);
    else if (this.state === State.ANSWERED) this.within(this.idle.limits.readTimeout);
  }

  /** What comes next must come within so many ms. */
  protected within(ms: number): void {
    this.idle.wheel.set(this, ms);
  }

  protected readHead(chunk: Buffer): void {
    const { limits } = this.idle;
    const bytes = this.input === null ? chunk : Buffer.concat([this.input, chunk]);
    const decides = this.input === null || mayDecide(chunk, bytes.length, limits);
    this.input = decides ? null : bytes;
    if (this.interims < 0) this.interims = 0;
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
        if (this.framing === Framing.CHUNKED) {
          const { nominated } = responseHead.fields;
          this.chunks = (this.chunks ?? new ChunkedReader()).reset(asker.wantsFrames, nominated, asker.withheld);
        }
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

  protected readBody(bytes: Buffer, from: number): void {
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

  protected get isLarge(): boolean {
    return this.framing === Framing.LENGTH && this.left >= LARGE;
  }

  protected answered(asker: Asker): void {
    this.state = State.ANSWERED;
    this.idle.wheel.clear(this);
    asker.whole();
    // It has not sent its request whole.
    if (this.asker === asker) this.asked();
  }

  /** Passes more of a large body on, as long as it comes and the asker takes it. @returns whether the body is whole. */
  protected move(asker: Asker): boolean {
    for (let k = 0; k < MOVES && this.left > 0 && this.asker === asker; k++) {
      const size = asker.moves(this.socket, this.left);
      if (size <= 0) break;
      this.left -= size;
      this.within(this.idle.limits.readTimeout);
    }
    return this.left === 0;
  }
}
