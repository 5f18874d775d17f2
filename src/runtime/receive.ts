import { ptr } from "./ffi.ts";
import { libc } from "./libc.ts";
import { MSG_DONTWAIT } from "./socket-constants.ts";
import type { TcpSocket } from "./tcp.ts";
import "./augment.d.ts";

/**
 * Takes what a plain TCP socket has for us right now, at most `length` bytes, past Bun: no chunk of its own is made for
 * it. To be called in the socket's `data` only, behind the chunk that came: so the order holds.
 * @returns bytes in `into`; 0 or less: nothing now. Whether that is the end, or an error, Bun says as ever.
 */
export const receive = (socket: TcpSocket<unknown>, into: Buffer, length: number): number =>
  libc.recv(socket.fd, ptr(into), length, MSG_DONTWAIT);
