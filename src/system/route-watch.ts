import { ptr } from "../runtime/ffi.ts";
import { errno, libc } from "../runtime/libc.ts";
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from "../runtime/socket-constants.ts";
import { AF_NETLINK, NETLINK_ROUTE } from "./netlink.ts";

/** <asm-generic/errno.h> */
const EINTR = 4;
const EAGAIN = 11;

/** <linux/rtnetlink.h>: links, addresses, routes and rules of both families, next-hop objects. */
const GROUPS = [1, 5, 7, 8, 9, 11, 19, 32].reduce((bits, group) => bits | (1 << (group - 1)), 0) >>> 0;

/** Tells whether the way to any address may have changed, in the network namespace where it was made. */
export interface RouteWatch {
  /** Since the last call, or since it was made. Where the kernel lets nobody listen: always. */
  moved(): boolean;
  close(): void;
}

/** Listens to what the kernel tells of links, addresses, routes and rules; what it told is not read, only that it did. */
export function watchRoutes(): RouteWatch {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  // struct sockaddr_nl: family, padding, port (0: the kernel chooses), groups.
  const address = new Uint32Array([AF_NETLINK, 0, GROUPS]);
  if (fd >= 0 && libc.bind(fd, ptr(address), address.byteLength) !== 0) {
    libc.close(fd);
    return { moved: () => true, close() {} };
  }
  if (fd < 0) return { moved: () => true, close() {} };
  // A message is cut to what fits: that it came says enough.
  const head = new Uint8Array(64);
  return {
    moved() {
      for (let moved = false; ; ) {
        if (libc.recv(fd, ptr(head), head.length, MSG_DONTWAIT) >= 0) {
          moved = true;
          continue;
        }
        const why = errno();
        if (why === EAGAIN) return moved;
        // ENOBUFS: more was told than there was room for.
        if (why !== EINTR) moved = true;
      }
    },
    close: () => void libc.close(fd),
  };
}
