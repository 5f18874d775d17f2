/** Where name servers stand while they are measured: on loopback, or behind a cable that ends in two namespaces. */
import { ensureBuilt, objectPath } from "../../src/dataplane/build.ts";
import { enableStats, programById, programStats } from "../../src/system/libbpf.ts";
import { closeFd } from "../../src/system/net.ts";
import { createTestNetns, wire } from "../../src/system/netns-testing.ts";
import { freePort } from "./pinned.ts";

export interface Stand {
  /** Part of the rows' names. */
  path: "user" | "xdp";
  /** Of all servers. */
  address: string;
  /** What Sluice's configuration says. */
  xdp: "off" | "native";
  port(): number;
  /** A command that runs where the servers, or where the load is. */
  atServer(...command: string[]): string[];
  atLoad(...command: string[]): string[];
  /** The synchronous part of `work` runs where the load is, or where the servers are. */
  fromLoad<T>(work: () => T): T;
  fromServer<T>(work: () => T): T;
  /** Resolves when Sluice answers in the way that is to be measured. */
  untilReady(): Promise<void>;
  /** CPU that the programs on the servers' interface have taken, by the kernel's statistics; microseconds. */
  programCpu(): number;
  close(): void;
}

export const loopback = (): Stand => ({
  path: "user",
  address: "127.0.0.1",
  xdp: "off",
  port: freePort,
  atServer: (...command) => command,
  atLoad: (...command) => command,
  fromLoad: (work) => work(),
  fromServer: (work) => work(),
  untilReady: async () => {},
  programCpu: () => 0,
  close() {},
});

const FIRST_PORT = 5301;

/**
 * A veth between two namespaces. Both ends run native XDP: without it one does not take what the other's program sends.
 */
export function cable(): Stand {
  ensureBuilt();
  const server = createTestNetns("server");
  const load = createTestNetns("load");
  wire(server, "eth0", "10.77.0.1/24", load, "eth0", "10.77.0.2/24");
  for (const end of [server, load]) end.sh("ethtool -K eth0 tx off >/dev/null");
  load.sh(`ip link set dev eth0 xdpdrv obj ${objectPath("pass")} sec xdp`);
  const stats = enableStats();
  let port = FIRST_PORT;
  const program = (): number | null => {
    const [row] = JSON.parse(server.sh("ip -json link show dev eth0")) as { xdp?: { prog?: { id: number } } }[];
    return row?.xdp?.prog?.id ?? null;
  };
  return {
    path: "xdp",
    address: "10.77.0.1",
    xdp: "native",
    port: () => port++,
    atServer: server.enter,
    atLoad: load.enter,
    fromLoad: load.inside,
    fromServer: server.inside,
    async untilReady() {
      for (let i = 0; i < 600 && program() === null; i++) await Bun.sleep(50);
      if (program() === null) throw new Error("no program has come to the interface");
    },
    programCpu() {
      const id = program();
      if (id === null) return 0;
      const fd = programById(id);
      const { nanoseconds } = programStats(fd);
      closeFd(fd);
      return nanoseconds / 1000;
    },
    close() {
      closeFd(stats);
      server.remove();
      load.remove();
    },
  };
}
