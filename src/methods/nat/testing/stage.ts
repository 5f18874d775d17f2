import type { Applier } from "../../../core/method.ts";
import { aBackend } from "../../../core/testing.ts";
import { ensureBuilt, objectPath } from "../../../dataplane/build.ts";
import { testDoors } from "../../../dataplane/testing/doors.ts";
import { connectTcp } from "../../../runtime/dial.ts";
import { listenTcp, type TcpListener, type TcpSocket } from "../../../runtime/tcp.ts";
import { bindUdp, type UdpSocket } from "../../../runtime/udp.ts";
import { createTestNetns, type TestNetns, wire } from "../../../system/netns-testing.ts";
import type { NatService } from "../compile.ts";
import { createNatApplier } from "../control.ts";
import type { EngineName } from "../engines.ts";

/** The article's network and sockets in it, for tests of both engines. */

export const service = (more: Partial<NatService> = {}): NatService => ({
  name: "web",
  seed: 7,
  engine: "auto",
  helper: null,
  masquerade: false,
  hairpin: false,
  vips: [{ address: "125.12.12.12", port: 80, protocol: "tcp" }],
  backends: [aBackend(0, "10.0.1.210", 8000), aBackend(1, "10.0.1.211", 8000)],
  eligible: [0, 1],
  scheduler: { name: "maglev", options: { slots: 16381 } },
  ...more,
});

export type Greeted = { socket: TcpSocket<Held>; who: string };
/** What a test's connection has heard so far. */
interface Held {
  heard: string;
  wake: () => void;
}

/** A server that tells each client its own name and the client's address, then echoes. */
const serveTcp = (netns: TestNetns, name: string, port: number): TcpListener =>
  netns.inside(() => {
    const open = (socket: TcpSocket<null>): void =>
      void socket.write(`${name} ${socket.remoteAddress}:${socket.remotePort}\n`);
    return listenTcp("0.0.0.0", port, { open, data: (socket, chunk) => void socket.write(chunk) }, () => null);
  });
const serveUdp = (netns: TestNetns, name: string, port: number): Promise<UdpSocket> =>
  netns.inside(() =>
    bindUdp(
      "0.0.0.0",
      port,
      (socket, _data, from, address) => void socket.send(Buffer.from(`${name} ${address}`), from, address),
    ),
  );

/** Connects (from port `own`) and resolves with the server's first line; null when no connection came about. */
export const connect = (netns: TestNetns, address: string, port: number, own = 0): Promise<Greeted | null> =>
  netns.inside(
    () =>
      new Promise((resolve) => {
        const data: Held = { heard: "", wake: () => {} };
        const source = own ? { source: { address: "0.0.0.0", port: own } } : {};
        connectTcp<Held>(
          { address, port, timeout: 1500, data, ...source },
          {
            data(socket, chunk) {
              const first = socket.data.heard === "";
              socket.data.heard += chunk.toString();
              if (first) resolve({ socket, who: socket.data.heard.trim() });
              socket.data.wake();
            },
            close: (socket) => socket.data.wake(),
            failed: () => resolve(null),
          },
        );
      }),
  );
export const ask = async (netns: TestNetns, address: string, port: number, own = 0): Promise<string> => {
  const greeted = await connect(netns, address, port, own);
  greeted?.socket.terminate();
  return greeted?.who ?? "";
};
/** How many of these connections still echo. */
export const alive = async (held: readonly Greeted[]): Promise<number> => {
  const proofs = held.map(
    ({ socket }) =>
      new Promise<boolean>((resolve) => {
        socket.data.heard = "";
        socket.data.wake = () => resolve(socket.data.heard.includes("hello"));
        if (socket.write("hello\n") < 0) resolve(false);
        setTimeout(resolve, 2000, false);
      }),
  );
  return (await Promise.all(proofs)).filter(Boolean).length;
};

const NAMES = ["client", "gateway", "director", "hub", "a", "b"] as const;
type Hosts = Record<(typeof NAMES)[number], TestNetns>;

/** Client, gateway, director, and the backends 10.0.1.210 and 10.0.1.211 behind it, in namespaces. */
function createHosts(engine: EngineName): Hosts {
  const hosts = Object.fromEntries(NAMES.map((name) => [name, createTestNetns(name)])) as unknown as Hosts;
  const { client, gateway, director, hub, a, b } = hosts;
  wire(client, "eth0", "202.20.20.20/24", gateway, "eth0", "202.20.20.1/24");
  wire(gateway, "eth1", "125.12.12.1/24", director, "eth0", "125.12.12.13/24");
  gateway.sh("sysctl -qw net.ipv4.ip_forward=1; ip route add 10.0.1.0/24 via 125.12.12.13");
  client.sh("ip route add default via 202.20.20.1");
  director.sh("ip route add default via 125.12.12.1");
  // The bridge stands in a namespace of its own: where br_netfilter is on, a bridge on the director would translate
  // and bridge in one step, which no router does.
  hub.sh("ip link add br0 type bridge; ip link set br0 up");
  wire(director, "eth1", "10.0.1.50/24", hub, "p0", "");
  hub.sh("ip link set p0 master br0");
  for (const [netns, port, address] of [
    [a, "p1", "10.0.1.210/24"],
    [b, "p2", "10.0.1.211/24"],
  ] as const) {
    wire(netns, "eth0", address, hub, port, "");
    hub.sh(`ip link set ${port} master br0`);
    netns.sh("ip route add default via 10.0.1.50");
  }
  if (engine === "xdp") forXdp(hosts);
  return hosts;
}

/** A veth delivers what XDP sends only to a peer with a program of its own, and loses checksums left to hardware. */
function forXdp({ client, gateway, hub, a, b }: Hosts): void {
  ensureBuilt();
  for (const netns of [client, gateway, a, b]) netns.sh("ethtool -K eth0 tx off");
  gateway.sh(`ethtool -K eth1 tx off; ip link set dev eth1 xdpdrv obj ${objectPath("pass")} sec xdp`);
  hub.sh(`ip link set dev p0 xdpdrv obj ${objectPath("pass")} sec xdp`);
}

/** The network with an applier on its director. Services get `engine` unless they ask for one by name. */
export class Stage {
  readonly hosts: Hosts;
  readonly doors = testDoors();
  readonly applier: Applier<NatService>;
  readonly #engine: EngineName;
  readonly #closers: (() => void)[] = [];

  constructor(engine: EngineName) {
    this.#engine = engine;
    this.hosts = createHosts(engine);
    // The engines look at their neighbours from time to time: the thread stays where they belong.
    this.hosts.director.stay();
    this.applier = createNatApplier(this.doors);
  }

  /** The article's servers, and one at the client. */
  async serve(): Promise<void> {
    const { client, a, b } = this.hosts;
    this.serveTcp(a, "A", 8000);
    this.serveTcp(b, "B", 8000);
    this.serveTcp(client, "C", 9000);
    await this.serveUdp(a, "A", 53);
    await this.serveUdp(b, "B", 53);
  }

  serveTcp(netns: TestNetns, name: string, port: number): void {
    const listener = serveTcp(netns, name, port);
    this.#closers.push(() => listener.stop());
  }

  async serveUdp(netns: TestNetns, name: string, port: number): Promise<void> {
    const socket = await serveUdp(netns, name, port);
    this.#closers.push(() => socket.close());
  }

  closeLater(close: () => void): void {
    this.#closers.push(close);
  }

  async apply(...next: NatService[]): Promise<void> {
    await this.hosts.director.within(async () => {
      const services = next.map((one) => (one.engine === "auto" ? { ...one, engine: this.#engine } : one));
      const prepared = await this.applier.prepare(services);
      if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
      await prepared.commit();
    });
  }

  async close(): Promise<void> {
    await this.applier.remove().catch(() => {});
    for (const close of this.#closers) close();
    for (const name of NAMES) this.hosts[name].remove();
    this.doors.close();
  }
}
