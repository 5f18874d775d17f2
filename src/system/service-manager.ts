import { ptr } from "../runtime/ffi.ts";
import { libc } from "../runtime/libc.ts";
import { AF_UNIX, toSockaddrUnix } from "../runtime/socket-address.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from "../runtime/socket-constants.ts";

/** What a service manager may be told; sd_notify(3) has the words. */
export type Notice = "READY=1" | "STOPPING=1" | `MAINPID=${number}` | `STATUS=${string}`;

/**
 * Tells the service manager that started us how things stand, by a datagram to the socket that `NOTIFY_SOCKET` names.
 * Without one, or when nobody listens there, nothing happens: it is news, and nothing depends on it.
 */
export function tellManager(...notices: Notice[]): void {
  const address = toSockaddrUnix(process.env.NOTIFY_SOCKET ?? "");
  if (address === null) return;
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const text = Buffer.from(notices.join("\n"));
  libc.sendto(fd, ptr(text), text.length, MSG_DONTWAIT | MSG_NOSIGNAL, ptr(address), address.length);
  libc.close(fd);
}
