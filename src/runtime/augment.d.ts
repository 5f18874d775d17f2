/** What Bun 1.4.5 offers and its types do not say. `contract.test.ts` proves each on the pinned version. */
import "bun";

declare module "bun" {
  interface Socket<Data> {
    readonly fd: number;
    /** close(2), without more. */
    close(): void;
  }
  interface TCPSocketListener<Data> {
    readonly fd: number;
  }
  interface FdListenOptions<Data> {
    fd: number;
    data?: Data;
    allowHalfOpen?: boolean;
    socket: SocketHandler<Data>;
  }
  function listen<Data>(options: FdListenOptions<Data>): TCPSocketListener<Data>;
  interface TCPSocketConnectOptions<Data> {
    localAddress?: string;
    localPort?: number;
  }
  namespace udp {
    interface SocketOptions<DataBinaryType> {
      fd?: number;
    }
    interface BaseUDPSocket {
      readonly fd: number;
    }
  }
}
