import type { Code } from "../core/codes.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import type { Upstream } from "./upstream.ts";

/** Who a backend connection works for: one client's request. All bytes are only valid during the call. */
export interface Asker {
  readonly isHead: boolean;
  /** Pass the chunk framing on, or only the data (HTTP/1.0 clients). */
  readonly wantsFrames: boolean;
  /** Names of fields that the response's head does not bring on, so its trailers must not either. Lower case. */
  readonly withheld: readonly Uint8Array[];
  /** The client has not sent its request whole. */
  readonly unsent: boolean;
  /** A PROXY header to begin the connection with; null: none. */
  introduction(): Buffer | null;
  /** The connection stands: send the request. */
  connected(upstream: Upstream): void;
  /** A 1xx other than 101; its head lies in `responseHead` over `bytes`. */
  interim(bytes: Buffer): void;
  /** 101: may the tunnel begin? After true, `tunnelled` gets all that follows. */
  switched(bytes: Buffer): boolean;
  tunnelled(bytes: Buffer, start: number, end: number): void;
  /**
   * The head of the response; then `part`s, then `sent` after each read, then `whole`. Who has bytes waiting after
   * `sent` must have paused the connection: else their memory is used again.
   */
  head(bytes: Buffer): void;
  part(bytes: Buffer, start: number, end: number): void;
  sent(): void;
  /** After `sent`: more of the body, at most `most` bytes, straight from the socket. @returns how many; -1: it was reset. */
  moves(from: TcpSocket<unknown> | null, most: number): number;
  /** The response is whole; or, of a tunnel, the backend's side has ended, both ways. */
  whole(): void;
  /** It takes no more bytes now. */
  readonly full: boolean;
  /** The backend sent FIN in a tunnel. */
  halfClosed(): void;
  /** The connection takes bytes again. */
  writable(): void;
  /** The connection is gone, or of no use; nothing follows. `silent`: not a byte of a response had come. */
  failed(code: Code, detail: string, silent: boolean): void;
}
