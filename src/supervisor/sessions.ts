import type { HandedSessions } from "../core/method.ts";
import { LAST_PACKET } from "../core/worker-protocol.ts";
import { now, sleep } from "../runtime/clock.ts";
import { type Packet, sendPacket, takePacket } from "../runtime/descriptors.ts";
import { closeFd } from "../runtime/listen.ts";

/** A worker that leaves and has been told so: it sends its UDP sessions over the channel, last a packet that says so. */
export interface Leaver {
  readonly channel: number;
  gone(): boolean;
  /** Nothing is taken from it any more. */
  done(): void;
}

/** A worker that serves from now on, and takes no datagrams before it is opened. */
export interface Heir {
  readonly channel: number;
  /** Its UDP sockets, named by `socketIdentity`. */
  readonly sockets: readonly string[];
  gone(): boolean;
  /** A packet of sessions lies in the channel. */
  take(): void;
  open(): void;
}

/** ms that all of it may take: what clients send meanwhile waits in the sockets. */
const LIMIT = 3000;

/**
 * Passes UDP sessions from workers that leave to those that serve the same sockets from now on, then opens these. It takes
 * some milliseconds, and never longer than the limit: who does not speak by then keeps what it has.
 */
export async function passSessions(leavers: readonly Leaver[], heirs: readonly Heir[]): Promise<void> {
  const end = now() + LIMIT;
  await Promise.all(leavers.map((leaver) => passFrom(leaver, heirs, end).finally(() => leaver.done())));
  for (const heir of heirs) heir.open();
}

async function passFrom(leaver: Leaver, heirs: readonly Heir[], end: number): Promise<void> {
  while (now() < end) {
    // In this order: what it sent before it went is there.
    const gone = leaver.gone();
    const packet = takePacket(leaver.channel);
    if (packet?.text === LAST_PACKET || (packet === null && gone)) return;
    if (packet === null) await sleep(1);
    else await passOn(packet, heirs, end);
  }
}

async function passOn(packet: Packet, heirs: readonly Heir[], end: number): Promise<void> {
  const socket = socketOf(packet);
  const heir = heirs.find(({ sockets }) => socket !== null && sockets.includes(socket));
  if (heir) {
    // Full: what lies there is taken first.
    while (!heir.gone() && !sendPacket(heir.channel, packet) && now() < end) await sleep(1);
    heir.take();
  }
  for (const fd of packet.fds) closeFd(fd);
}

/** The socket whose sessions a packet has; null for nonsense: workers parse strangers' bytes, and are believed nothing. */
function socketOf({ text }: Packet): string | null {
  try {
    return (JSON.parse(text) as HandedSessions).socket;
  } catch {
    return null;
  }
}
