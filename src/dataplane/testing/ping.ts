import { isIPv6 } from "../../core/address.ts";
import { ptr } from "../../runtime/ffi.ts";
import { errno, errnoText, libc } from "../../runtime/libc.ts";
import { toSockaddr } from "../../runtime/socket-address.ts";
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from "../../runtime/socket-constants.ts";
import { internetChecksum } from "./frames.ts";

/** How each family asks and answers (RFC 792, RFC 4443); a raw socket of IPv4 gives the IP header too. */
const families = {
  4: { family: 2, protocol: 1, request: 8, reply: 0 },
  6: { family: 10, protocol: 58, request: 128, reply: 129 },
} as const;

/** Asks hosts for an echo, out of the network namespace in which it was made. */
export class Pinger {
  readonly #sockets = new Map<number, number>();
  readonly #answered = new Set<number>();
  #asked = 0;

  constructor() {
    for (const { family, protocol } of Object.values(families)) {
      const fd = libc.socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);
      if (fd < 0) throw new Error(errnoText(errno()));
      this.#sockets.set(family, fd);
    }
  }

  /** Sends a request; its number. */
  ask(target: string): number {
    const { request } = families[isIPv6(target) ? 6 : 4];
    const number = ++this.#asked;
    const message = Uint8Array.from([request, 0, 0, 0, 0x51, 0x0c, number >> 8, number & 0xff]);
    // Of ICMPv6 the kernel makes it.
    const sum = internetChecksum(message);
    message.set([sum >> 8, sum & 0xff], 2);
    const { family, bytes } = toSockaddr(target, 0);
    libc.sendto(this.#sockets.get(family)!, ptr(message), message.length, 0, ptr(bytes), bytes.length);
    return number;
  }

  /** Has this request been answered by now? */
  answered(number: number): boolean {
    const packet = new Uint8Array(256);
    for (const { family, reply } of Object.values(families)) {
      const fd = this.#sockets.get(family)!;
      for (let length = 0; length >= 0; length = libc.recv(fd, ptr(packet), packet.length, MSG_DONTWAIT)) {
        const message = packet.subarray(family === families[4].family ? (packet[0]! & 15) * 4 : 0, length);
        if (message[0] === reply && message[4] === 0x51 && message[5] === 0x0c)
          this.#answered.add((message[6]! << 8) | message[7]!);
      }
    }
    return this.#answered.has(number);
  }

  close(): void {
    for (const fd of this.#sockets.values()) libc.close(fd);
  }
}
