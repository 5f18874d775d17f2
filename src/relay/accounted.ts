import type { Code } from "../core/codes.ts";
import type { Ended, ServiceLog } from "./access.ts";
import type { Front } from "./front.ts";
import { Introduced } from "./introduced.ts";
import { Cell, type ServiceState } from "./service-state.ts";

/** A client's connection, what it is counted for, and what the access log says of its request under way. */
export abstract class Accounted<S extends ServiceState> extends Introduced {
  protected service: S | null = null;
  /** Where the head of the request under way lies, for writing it once more to another backend. */
  protected requestBytes: Buffer | null = null;
  protected requestStart = 0;
  /** When the request began, ms; what it was answered; bytes of that; why it failed. */
  protected began = 0;
  protected status = 0;
  protected outBytes = 0;
  protected reason: Code | "" = "";
  /** The service that this connection is counted for. */
  private counted: S | null = null;

  readonly front: Front<S>;
  constructor(front: Front<S>) {
    super();
    this.front = front;
  }

  protected count(service: S, headSize: number): void {
    const { cells } = service;
    if (this.counted === null) {
      this.counted = service;
      cells.add(-1, Cell.connections, 1);
    }
    cells.add(-1, Cell.requests, 1);
    cells.add(-1, Cell.active, 1);
    cells.add(-1, Cell.bytesIn, headSize);
  }

  protected record(log: ServiceLog, unread: boolean): void {
    const { front, began, status, outBytes: bytes, reason } = this;
    const took = front.now() - began;
    const went = unread ? { backend: "", attempts: 0 } : this.went();
    const ended = { at: Date.now() - took, took, client: this.address, status, bytes, reason, ...went };
    log.write(ended, this.requestBytes, this.requestStart, front.limits);
  }

  /** Where the request went, for the access log. */
  protected went(): Pick<Ended, "backend" | "attempts" | "country" | "backendCountry"> {
    return { backend: "", attempts: 0 };
  }
}
