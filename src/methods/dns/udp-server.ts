import type { Transport } from "../../protocols/dns/respond.ts";
import { sleep } from "../../runtime/clock.ts";
import { adoptUdp, type UdpSocket } from "../../runtime/udp.ts";
import type { Answerer } from "./answerer.ts";

/** Answers held back for one system call; more than 200 datagrams in one are lost (`runtime/udp.ts`). */
const BATCH = 128;

export interface UdpServer {
  /**
   * Answers what has arrived and closes. The socket itself lives on in the daemon and in the worker that follows this one,
   * which read the same queue: nothing may be done to it. Where nobody follows, what waits is still answered first.
   */
  drain(): Promise<void>;
}

/** Long enough to read a full queue, ms: 4 MiB hold some 5,000 queries of 3 us each. */
const QUEUE_TIME = 50;

/**
 * Serves one adopted UDP socket. Answers are gathered until the loop has handed over all datagrams that were waiting,
 * then leave in one system call: fewer calls, and no waiting, because the next turn of the loop comes at once.
 */
export async function serveUdp({ fd }: { fd: number }, answerer: Answerer, transport: Transport): Promise<UdpServer> {
  const room = Math.max(transport.udpSize, 512);
  const outs = Array.from({ length: BATCH }, () => new Uint8Array(room));
  // Answers of one length come one after the other mostly: the view of last time serves again.
  const views = [...outs];
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

  socket = await adoptUdp(fd, (_socket, data, port, client) => {
    // Port 0 cannot be answered (RFC 768); a packet from there is forged.
    if (port === 0) return;
    const out = outs[count]!;
    const length = answerer.answer(data, data.length, client, transport, out);
    if (length === 0) return;
    let view = views[count]!;
    if (view.length !== length) {
      view = new Uint8Array(out.buffer, 0, length);
      views[count] = view;
    }
    pending.push(view, port, client);
    count++;
    if (count === 1) setImmediate(flush);
    else if (count === BATCH) flush();
  });

  return {
    async drain() {
      await sleep(QUEUE_TIME);
      flush();
      closed = true;
      socket.close();
    },
  };
}
