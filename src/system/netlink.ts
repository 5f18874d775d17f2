import { errno, libc } from "../runtime/libc.ts";
import { transfer } from "../runtime/message.ts";
import { SOCK_CLOEXEC, SOCK_RAW } from "../runtime/socket-constants.ts";

/** <linux/netlink.h> */
export const AF_NETLINK = 16;
export const NETLINK_ROUTE = 0;
export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_DUMP = 0x300;
export const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** What was listed has changed meanwhile: entries may be missing, or told twice. */
const NLM_F_DUMP_INTR = 0x10;
/** Bytes of `struct nlmsghdr`. */
const HEAD = 16;

const LARGEST_ANSWER = 1 << 16;
/** Times that a list is asked for before what was told of it is taken as it is. */
const ATTEMPTS = 5;

/** A netlink socket of the network namespace of the call. One that cannot be made fails at the first question. */
export const openNetlink = (protocol: number): Netlink =>
  new Netlink(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));

/** Questions to the kernel, one at a time. */
export class Netlink {
  readonly #fd: number;
  readonly #answer = new Uint8Array(LARGEST_ANSWER);

  /** Takes the descriptor over. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Sends one request and hands every answer to `each`, without its header; the errno that ends it, 0 when all went well. */
  ask(request: Uint8Array, each: (payload: Uint8Array) => void): number {
    return this.#once(request, each).failed;
  }

  /**
   * Asks for a list, anew while it changes under the kernel's hands. The last answers, of up to five lists, are what is
   * handed out. The errno that ends it, and those answers.
   */
  list(request: Uint8Array): { failed: number; payloads: Uint8Array[] } {
    for (let attempt = 1; ; attempt++) {
      const payloads: Uint8Array[] = [];
      const { failed, interrupted } = this.#once(request, (payload) => payloads.push(payload));
      if (failed !== 0 || !interrupted || attempt === ATTEMPTS) return { failed, payloads };
    }
  }

  #once(request: Uint8Array, each: (payload: Uint8Array) => void): { failed: number; interrupted: boolean } {
    let interrupted = false;
    const end = (failed: number) => ({ failed, interrupted });
    if (this.#fd < 0 || transfer(libc.sendmsg, this.#fd, request, 0).done < 0) return end(errno());
    for (;;) {
      const got = transfer(libc.recvmsg, this.#fd, this.#answer, 0).done;
      if (got < 0) return end(errno());
      const view = new DataView(this.#answer.buffer);
      for (let at = 0; at + HEAD <= got; ) {
        const length = view.getUint32(at, true);
        const type = view.getUint16(at + 4, true);
        if ((view.getUint16(at + 6, true) & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (length < HEAD || type === NLMSG_DONE) return end(0);
        if (type === NLMSG_ERROR) return end(-view.getInt32(at + HEAD, true));
        each(this.#answer.slice(at + HEAD, at + length));
        at += (length + 3) & ~3;
      }
    }
  }

  close(): void {
    if (this.#fd >= 0) libc.close(this.#fd);
  }
}
