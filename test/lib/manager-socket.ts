import { rmSync } from "node:fs";
import { ptr } from "../../src/runtime/ffi.ts";
import { libc } from "../../src/runtime/libc.ts";
import { AF_UNIX, toSockaddrUnix } from "../../src/runtime/socket-address.ts";
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from "../../src/runtime/socket-constants.ts";

/** The end of a service manager: the socket that sd_notify(3) writes to. */
export class ManagerSocket {
  readonly path: string;
  readonly #fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  readonly #room = new Uint8Array(4096);

  constructor(path: string) {
    this.path = path;
    const address = toSockaddrUnix(path)!;
    if (libc.bind(this.#fd, ptr(address), address.length) !== 0) throw new Error(`${path} cannot be bound`);
  }

  /** The next message; throws when none comes within 10 s. */
  async next(): Promise<string> {
    for (let waited = 0; waited < 10_000; waited += 20) {
      const length = libc.recv(this.#fd, ptr(this.#room), this.#room.length, MSG_DONTWAIT);
      if (length >= 0) return Buffer.from(this.#room.subarray(0, length)).toString();
      await Bun.sleep(20);
    }
    throw new Error("the service manager was told nothing");
  }

  close(): void {
    libc.close(this.#fd);
    rmSync(this.path);
  }
}
