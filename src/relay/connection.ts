import { Wire } from "./wire.ts";

/** What the next byte from the client is. */
export const Reading = {
  /** Part of a request's head. */
  HEAD: 0,
  /** Part of a request's body. */
  BODY: 1,
  /** Part of the request after the one that is being answered: kept. */
  NEXT: 2,
  /** Part of another protocol, after an upgrade. */
  TUNNEL: 3,
  /** Nothing: the connection is being closed, or is gone. */
  NOTHING: 4,
} as const;

/** A client's socket: what is sent to it, and whether it is read. */
export abstract class Connection extends Wire {
  protected paused = false;

  protected pause(): void {
    if (this.paused || this.socket === null) return;
    this.paused = true;
    this.socket.pause();
  }

  protected resume(): void {
    if (!this.paused || this.socket === null) return;
    this.paused = false;
    this.socket.resume();
  }
}
