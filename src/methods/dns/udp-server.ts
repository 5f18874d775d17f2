import { ClientAddress } from "../../geo/prefix.ts";
import { sleep } from "../../runtime/clock.ts";
import { serveDatagrams } from "../../runtime/direct-udp.ts";
import { AF_INET } from "../../runtime/socket-address.ts";
import type { Datagrams } from "./datagrams.ts";

export interface UdpServer {
  /**
   * Answers what has arrived and closes. The socket itself lives on in the daemon and in the worker that follows this one,
   * which read the same queue: nothing may be done to it. Where nobody follows, what waits is still answered first.
   */
  drain(): Promise<void>;
}

/** Long enough to read a full queue, ms: 4 MiB hold some 5,000 queries of 3 us each. */
const QUEUE_TIME = 50;

/** Serves one adopted UDP socket. */
export async function serveUdp({ fd }: { fd: number }, datagrams: Datagrams): Promise<UdpServer> {
  const client = new ClientAddress();
  const server = await serveDatagrams(fd, (slot, length, peer) => {
    if (peer[0] === AF_INET) client.take(peer, 4, 4);
    else client.take(peer, 8, 16);
    return datagrams.answer(slot, length, client);
  });
  return {
    async drain() {
      await sleep(QUEUE_TIME);
      server.finish();
      server.close();
      datagrams.tell();
    },
  };
}
