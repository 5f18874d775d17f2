import "./augment.d.ts";

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
