import "./augment.d.ts";
import { ptr } from "./ffi.ts";
import { libc } from "./libc.ts";
import { toSockaddr } from "./socket-address.ts";

export interface UdpSocket {
  readonly fd: number;
  readonly port: number;
  /** False when the kernel's buffer is full: the datagram is dropped, as UDP may. */
  send(data: Uint8Array, port: number, address: string): boolean;
  /** `[data, port, address, …]` flattened; at most 200 datagrams go per system call. Returns how many were taken. */
  sendMany(flat: (Uint8Array | number | string)[]): number;
  close(): void;
}

/** Called per datagram; the buffer is fresh and may be kept. */
export type OnDatagram = (socket: UdpSocket, data: Buffer, port: number, address: string) => void;

/** Three list elements make a datagram; more than 200 datagrams per call lose some without a word (Bun 1.4.5). */
const MOST = 200 * 3;

async function serve(
  options: { fd?: number; hostname?: string; port?: number },
  onDatagram: OnDatagram,
): Promise<UdpSocket> {
  const bun = await Bun.udpSocket({
    ...options,
    binaryType: "buffer",
    socket: {
      data: (_socket, data, port, address) => onDatagram(socket, data, port, address),
      // ICMP errors of clients that are gone arrive here; without a handler they are printed.
      error() {},
    },
  } as Bun.udp.SocketOptions<"buffer">);
  const socket: UdpSocket = {
    fd: bun.fd,
    port: bun.port,
    send: (data, port, address) => bun.send(data, port, address),
    sendMany(flat) {
      let sent = 0;
      for (let i = 0; i < flat.length; i += MOST) {
        const part = flat.length <= MOST ? flat : flat.slice(i, i + MOST);
        const taken = bun.sendMany(part);
        sent += taken;
        if (taken < part.length / 3) break;
      }
      return sent;
    },
    close: () => bun.close(),
  };
  return socket;
}

/** Serves a bound UDP socket that was made elsewhere (`runtime/listen.ts`); owns the descriptor from then on. */
export const adoptUdp = (fd: number, onDatagram: OnDatagram): Promise<UdpSocket> => serve({ fd }, onDatagram);

/** Binds by itself; for tests, clients and programs of the lab. Port 0 takes a free one. */
export const bindUdp = (address: string, port: number, onDatagram: OnDatagram): Promise<UdpSocket> =>
  serve({ hostname: address, port }, onDatagram);

/** A UDP socket of one peer: nothing from others reaches it. */
export interface UdpLink {
  readonly fd: number;
  /** False when the kernel does not take it, or not now: the datagram is dropped, as UDP may. Never throws. */
  send(data: Uint8Array): boolean;
  close(): void;
}

/** What happens at a link; `failed` gets the kernel's word, such as ECONNREFUSED (an ICMP error). */
export interface LinkHandlers {
  data(data: Buffer): void;
  failed(why: string): void;
}

/**
 * Opens a socket of its own port to a peer, or with `fd` goes on with one that was connected there elsewhere. Rejects when
 * there is no descriptor or no route.
 */
export async function connectUdp(address: string, port: number, handlers: LinkHandlers, fd?: number): Promise<UdpLink> {
  const bun = await Bun.udpSocket({
    ...(fd === undefined ? {} : { fd }),
    connect: { hostname: address, port },
    binaryType: "buffer",
    socket: {
      data: (_socket: unknown, data: Buffer) => handlers.data(data),
      // Typed as (socket, error), called with the error alone (Bun 1.4.5).
      error: (error: unknown) => handlers.failed((error as { code?: string } | null)?.code ?? "error"),
    },
  } as Bun.udp.ConnectSocketOptions<"buffer">);
  return {
    fd: bun.fd,
    send(data) {
      try {
        return bun.send(data);
      } catch {
        return false; // too large for the way, mostly: EMSGSIZE, which `failed` is told too
      }
    },
    close: () => bun.close(),
  };
}

/** F_DUPFD_CLOEXEC (linux/fcntl.h). */
const DUP = 1030;
/** MSG_DONTWAIT (linux/socket.h). */
const DONT_WAIT = 0x40;

/** The sending half of a UDP socket: datagrams leave from its address, those that come are left to others. */
export interface UdpSender {
  send(data: Uint8Array, port: number, address: string): boolean;
  close(): void;
}

/** A descriptor of its own for the same socket; negative when there is none left. */
export const anotherFd = ({ fd }: { fd: number }): number => libc.fcntl(fd, DUP, 0);

/** Keeps a socket's address to send from, by a descriptor of its own; null when there is none left. */
export function senderOf(socket: { fd: number }): UdpSender | null {
  const fd = anotherFd(socket);
  if (fd < 0) return null;
  return {
    send(data, port, address) {
      const { bytes } = toSockaddr(address, port);
      const sent = libc.sendto(fd, ptr(data), data.length, DONT_WAIT, ptr(bytes), bytes.length);
      return Number(sent) === data.length;
    },
    close: () => void libc.close(fd),
  };
}
