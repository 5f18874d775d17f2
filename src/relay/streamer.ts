import type { Code } from "../core/codes.ts";
import type { Asker } from "./asker.ts";
import { isOurs } from "./blame.ts";
import { Reading } from "./client.ts";
import type { Pool } from "./pool.ts";
import { Seeker } from "./seeker.ts";
import { Cell } from "./service-state.ts";
import type { Upstream } from "./upstream.ts";

/** Bytes that a client may send before its backend is reached; then reading stops. */
const AHEAD = 64 * 1024;

/**
 * A client connection that is joined to a backend's as it is, whatever it speaks. To the gate, the counters and the
 * schedulers it is one request, from its beginning to its end.
 */
export class Streamer extends Seeker implements Asker {
  readonly wantsFrames = false;
  readonly withheld: readonly Uint8Array[] = [];

  protected override welcome(): void {
    const service = this.front.site.fallback;
    this.front.wheel.clear(this);
    if (service === null) {
      this.terminate();
      return;
    }
    this.service = service;
    this.reading = Reading.NEXT;
    this.answered = false;
    this.close = true;
    this.count(service, 0);
    this.enterGate(service.amongFor(null, service.placeOf(this.address)));
    if (!this.choose(false)) this.fail(503, "SLUICE_NO_BACKEND", "");
  }

  override received(chunk: Buffer): void {
    if (this.reading === Reading.TUNNEL) {
      this.tunnel(chunk);
      return;
    }
    if (this.reading === Reading.NOTHING) return;
    if (this.awaited) {
      super.received(chunk);
      return;
    }
    this.append(chunk);
    if (this.input!.length - this.at > AHEAD) this.pause();
  }

  override drained(): void {
    if (!this.flush()) return;
    if (this.reading === Reading.NOTHING) super.drained();
    else this.flushed();
  }

  protected connect(pool: Pool): void {
    this.connecting = true;
    this.upstream = pool.make(this);
    this.upstream.connect();
  }

  connected(upstream: Upstream): void {
    this.dispatch(upstream);
  }

  protected dispatch(upstream: Upstream): void {
    this.connecting = false;
    this.upstream = upstream;
    upstream.beginTunnel(this);
    this.reading = Reading.TUNNEL;
    this.resume();
    const { input, at } = this;
    this.input = null;
    if (input !== null) this.tunnel(input.subarray(at));
    if (this.ended && upstream.queued === 0) upstream.shutdown();
  }

  writable(): void {
    if (this.ended) this.upstream?.shutdown();
    this.resume();
  }

  /** Both ends have ended: what has come goes out, then the client's connection ends too. */
  whole(): void {
    this.hangUp();
  }

  failed(code: Code, detail: string): void {
    const { backend, connecting } = this;
    this.upstream = null;
    this.connecting = false;
    if (!connecting) {
      this.tear();
      return;
    }
    const blameless = isOurs(code);
    this.unuse(blameless ? "aborted" : "failed");
    if (!blameless) this.service!.observed(backend, code, detail);
    if (!this.retry(backend, false, false)) this.fail(502, code, detail);
  }

  /** Takes a connection attempt away from a backend that is down; what is joined stays joined. */
  moveOn(): void {
    if (!this.connecting || this.upstream === null || !this.hasOther) return;
    const { upstream, backend } = this;
    this.upstream = null;
    this.connecting = false;
    upstream.release(false);
    this.unuse("failed");
    if (!this.retry(backend, false, false)) this.fail(502, "SLUICE_BACKEND_CLOSED", "taken down");
  }

  /** There is no protocol to say it in: the connection is cut, and the log and the counters say why. */
  protected override fail(_status: number, code: Code, why: string): void {
    this.service?.cells.add(-1, Cell.errors, 1);
    this.front.log("warn", "connection ended", { client: this.address, code, why });
    this.terminate();
  }

  protected cut(): void {
    if (this.upstream !== null && !this.connecting && this.upstream.queued === 0) this.upstream.shutdown();
  }

  protected over(): void {
    const { upstream } = this;
    this.upstream = null;
    this.unuse(this.connecting ? "aborted" : "done");
    this.connecting = false;
    this.leaveGate();
    upstream?.release(!this.torn);
  }

  // A stream has no requests, bodies and responses: nobody calls these.
  protected request(): void {}
  protected body(): void {}
  protected bodyPart(): void {}
  interim(): void {}
  switched(): boolean {
    return false;
  }
  head(): void {}
  part(): void {}
}
