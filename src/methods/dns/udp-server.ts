import { ClientAddress } from "../../geo/prefix.ts";
import { sleep } from "../../runtime/clock.ts";
import { serveDatagrams } from "../../runtime/direct-udp.ts";
import { setIntOption } from "../../runtime/libc.ts";
import { AF_INET } from "../../runtime/socket-address.ts";
import {
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  PMTUDISC_OMIT,
} from "../../runtime/socket-constants.ts";
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
  ignorePathMtu(fd);
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

/**
 * Answers are as long as may be without fragments; a forged ICMP error must not have them cut, for a fragment can be replaced
 * by another's (RFC 9715 3.1). Of the two options one is the socket's.
 */
function ignorePathMtu(fd: number): void {
  setIntOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_OMIT);
  setIntOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_OMIT);
}
