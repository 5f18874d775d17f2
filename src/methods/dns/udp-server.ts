import type { Transport } from "../../protocols/dns/respond.ts";
import { adoptUdp, type UdpSocket } from "../../runtime/udp.ts";
import type { Answerer } from "./answerer.ts";

/** Answers held back for one system call; more than 200 datagrams in one are lost (`runtime/udp.ts`). */
const BATCH = 128;

/**
 * Serves one adopted UDP socket. Answers are gathered until the loop has handed over all datagrams that were waiting,
 * then leave in one system call: fewer calls, and no waiting, because the next turn of the loop comes at once.
 */
export async function serveUdp(fd: number, answerer: Answerer, transport: Transport): Promise<{ close(): void }> {
  const room = Math.max(transport.udpSize, 512);
  const outs = Array.from({ length: BATCH }, () => Buffer.allocUnsafeSlow(room));
  const pending: (Uint8Array | number | string)[] = [];
  let count = 0;
  let closed = false;
  let socket: UdpSocket;

  const flush = (): void => {
    if (count === 0 || closed) return;
    if (count === 1) socket.send(pending[0] as Uint8Array, pending[1] as number, pending[2] as string);
    else socket.sendMany(pending);
    pending.length = 0;
    count = 0;
  };

  socket = await adoptUdp(fd, (_socket, data, port, address) => {
    // Port 0 cannot be answered (RFC 768); a packet from there is forged.
    if (port === 0) return;
    const out = outs[count]!;
    const length = answerer.answer(data, data.length, address, transport, out);
    if (length === 0) return;
    pending.push(length === room ? out : out.subarray(0, length), port, address);
    count++;
    if (count === 1) setImmediate(flush);
    else if (count === BATCH) flush();
  });

  return {
    close() {
      flush();
      closed = true;
      socket.close();
    },
  };
}
