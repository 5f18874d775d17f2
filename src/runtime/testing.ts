import { readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { sleep } from "./clock.ts";
import { ptr } from "./ffi.ts";
import { libc } from "./libc.ts";
import { makeListener } from "./listen.ts";
import { toSockaddr } from "./socket-address.ts";
import { AF_UNIX, SO_LINGER, SOCK_STREAM, SOL_SOCKET } from "./socket-constants.ts";

/** For tests: a listener on loopback whose accept queue is full, so that the kernel drops every further SYN. */
export async function fullListener(): Promise<{ port: number; fd: number; close(): void }> {
  const made = makeListener({ address: "127.0.0.1", port: 0, protocol: "tcp" });
  if (!made.ok) throw new Error("no listener");
  const fd = made.value;
  libc.listen(fd, 0); // room for one
  const name = new Uint8Array(16);
  libc.getsockname(fd, ptr(name), ptr(new Uint32Array([16])));
  const port = new DataView(name.buffer).getUint16(2);
  const held = [1, 2].map(() => createConnection(port, "127.0.0.1").on("error", () => {}));
  await sleep(100);
  const close = (): void => {
    for (const socket of held) socket.destroy();
    libc.close(fd);
  };
  return { port, fd, close };
}

/** For tests: two ends that are joined, of this type. One that is closed looks to the other as a reset whose error was read. */
export function makePair(type: number = SOCK_STREAM): [near: number, far: number] {
  const pair = new Int32Array(2);
  if (libc.socketpair(AF_UNIX, type, 0, ptr(pair)) !== 0) throw new Error("no pair");
  return [pair[0]!, pair[1]!];
}

/** How many connections the kernel holds open at this local port, accepted or not. */
function standing(port: number): number {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => readFileSync(file, "latin1").split("\n"));
  return lines.filter((line) => {
    const [, local, , state] = line.trim().split(/\s+/);
    return local?.endsWith(end) && state === "01";
  }).length;
}

/** `struct linger { 1, 0 }`: close(2) resets. */
const RESET = Int32Array.of(1, 0);

/** For tests: a connection to a port on loopback that says something and is reset, all before this process can accept it. */
export function knock(port: number, words: string): void {
  const to = toSockaddr("127.0.0.1", port);
  const fd = libc.socket(to.family, SOCK_STREAM, 0);
  libc.connect(fd, ptr(to.bytes), to.bytes.length);
  const bytes = Buffer.from(words);
  if (bytes.length > 0) libc.send(fd, ptr(bytes), bytes.length, 0);
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, ptr(RESET), RESET.byteLength);
  libc.close(fd);
}

/**
 * For tests: `count` connections from another process, which send `words` and read to the end. This process's event
 * loop stands still until all have come, so that it finds them in the listener's queue together.
 * @returns what each was sent.
 */
export async function together(to: { address: string; port: number }, count: number, words: string): Promise<string[]> {
  const program = `
    const one = () => new Promise((done) => {
      let got = "";
      const socket = {
        open: (s) => void s.write(${JSON.stringify(words)}),
        data: (s, chunk) => void (got += chunk),
        end: (s) => s.end(),
        close: () => done(got),
        error() {},
      };
      Bun.connect({ hostname: ${JSON.stringify(to.address)}, port: ${to.port}, socket });
    });
    console.log(JSON.stringify(await Promise.all(Array.from({ length: ${count} }, one))));`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
  for (let i = 0; i < 1000 && standing(to.port) < count; i++) Bun.sleepSync(10);
  return JSON.parse(await new Response(child.stdout).text());
}
