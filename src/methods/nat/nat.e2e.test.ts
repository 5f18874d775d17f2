import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Backend } from "../../core/backend.ts";
import type { Applier } from "../../core/method.ts";
import { ensureBuilt, objectPath } from "../../dataplane/build.ts";
import { testDoors } from "../../dataplane/testing/doors.ts";
import { connectTcp } from "../../runtime/dial.ts";
import { listenTcp, type TcpListener, type TcpSocket } from "../../runtime/tcp.ts";
import { bindUdp, type UdpSocket } from "../../runtime/udp.ts";
import { createTestNetns, eventually, netnsMissing, type TestNetns, wire } from "../../system/netns-testing.ts";
import type { NatService } from "./compile.ts";
import { createNatApplier } from "./control.ts";
import type { EngineName } from "./engines.ts";

const backend = (id: number, address: string, port: number | null, more: Partial<Backend> = {}): Backend => ({
  id,
  address,
  port,
  weight: 1,
  state: "up",
  tier: 0,
  tags: [],
  load: null,
  ...more,
});

const service = (more: Partial<NatService> = {}): NatService => ({
  name: "web",
  seed: 7,
  engine: "auto",
  helper: null,
  masquerade: false,
  hairpin: false,
  vips: [{ address: "125.12.12.12", port: 80, protocol: "tcp" }],
  backends: [backend(0, "10.0.1.210", 8000), backend(1, "10.0.1.211", 8000)],
  eligible: [0, 1],
  scheduler: { name: "maglev", options: { slots: 16381 } },
  ...more,
});

const missing = netnsMissing();
if (missing) console.warn(`nat end to end: skipped, ${missing}`);

type Greeted = { socket: TcpSocket<Held>; who: string };
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
const connect = (netns: TestNetns, address: string, port: number, own = 0): Promise<Greeted | null> =>
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
const ask = async (netns: TestNetns, address: string, port: number, own = 0): Promise<string> => {
  const greeted = await connect(netns, address, port, own);
  greeted?.socket.terminate();
  return greeted?.who ?? "";
};
/** How many of these connections still echo. */
const alive = async (held: readonly Greeted[]): Promise<number> => {
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

for (const engine of ["nftables", "xdp"] as const) {
  describe.skipIf(missing !== null)(`nat by ${engine}, on the article's addresses`, () => whole(engine));
}

/** Every test for one engine; what only one of them has says so. */
function whole(engine: EngineName): void {
  const onlyNftables: typeof test | (() => void) = engine === "nftables" ? test : () => {};
  let client: TestNetns;
  let gateway: TestNetns;
  let director: TestNetns;
  let hub: TestNetns;
  let a: TestNetns;
  let b: TestNetns;
  let doors: ReturnType<typeof testDoors>;
  let applier: Applier<NatService>;
  const closers: TcpListener[] = [];
  const udp: UdpSocket[] = [];
  const dumps: { kill(): void }[] = [];

  const apply = async (...next: NatService[]): Promise<void> =>
    director.within(async () => {
      const prepared = await applier.prepare(next.map((one) => ({ ...one, engine })));
      if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
      await prepared.commit();
    });

  beforeAll(async () => {
    client = createTestNetns("client");
    gateway = createTestNetns("gateway");
    director = createTestNetns("director");
    hub = createTestNetns("hub");
    a = createTestNetns("a");
    b = createTestNetns("b");
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
    if (engine === "xdp") forXdp();
    closers.push(serveTcp(a, "A", 8000), serveTcp(b, "B", 8000), serveTcp(client, "C", 9000));
    udp.push(await serveUdp(a, "A", 53), await serveUdp(b, "B", 53));
    // The engines look at their neighbours from time to time: the thread stays where they belong.
    director.stay();
    doors = testDoors();
    applier = createNatApplier(doors);
  });
  /** A veth delivers what XDP sends only to a peer with a program of its own, and loses checksums left to hardware. */
  const forXdp = (): void => {
    ensureBuilt();
    for (const netns of [client, gateway, a, b]) netns.sh("ethtool -K eth0 tx off");
    gateway.sh(`ethtool -K eth1 tx off; ip link set dev eth1 xdpdrv obj ${objectPath("pass")} sec xdp`);
    hub.sh(`ip link set dev p0 xdpdrv obj ${objectPath("pass")} sec xdp`);
  };
  afterAll(async () => {
    await applier?.remove().catch(() => {});
    for (const child of dumps) child.kill();
    for (const listener of closers) listener.stop();
    for (const socket of udp) socket.close();
    for (const netns of [client, gateway, director, hub, a, b]) netns?.remove();
    doors?.close();
  });

  const dump = (netns: TestNetns) => {
    const child = Bun.spawn(netns.enter("tcpdump", "-i", "eth0", "-nn", "-l", "-q", "tcp"), {
      stdout: "pipe",
      stderr: "pipe",
    });
    dumps.push(child);
    return child;
  };

  test("the article's walk: four hops, addresses and ports", async () => {
    await apply(service());
    expect(director.sh("ip -br address")).toContain("125.12.12.12/32");
    const near = dump(client);
    const far = [dump(a), dump(b)];
    for (const tcpdump of [near, ...far]) {
      // The first words on stderr come once it listens.
      await tcpdump.stderr.getReader().read();
    }
    const answer = await ask(client, "125.12.12.12", 80, 5656);
    expect(answer).toMatch(/^[AB] 202\.20\.20\.20:5656$/);
    await Bun.sleep(300);
    for (const tcpdump of [near, ...far]) tcpdump.kill();
    const lines = async (child: ReturnType<typeof dump>) => (await new Response(child.stdout).text()).split("\n");
    const hops = (text: string[]) => new Set(text.flatMap((line) => / IP (\S+ > \S+):/.exec(line)?.[1] ?? []));
    expect(hops(await lines(near))).toEqual(
      new Set(["202.20.20.20.5656 > 125.12.12.12.80", "125.12.12.12.80 > 202.20.20.20.5656"]),
    );
    const chosen = answer[0] === "A" ? "10.0.1.210.8000" : "10.0.1.211.8000";
    const [atA, atB] = await Promise.all(far.map(lines));
    expect(hops(answer[0] === "A" ? atA! : atB!)).toEqual(
      new Set([`202.20.20.20.5656 > ${chosen}`, `${chosen} > 202.20.20.20.5656`]),
    );
    expect(hops(answer[0] === "A" ? atB! : atA!)).toEqual(new Set());
  });

  test("weights hold, and UDP goes by the same rules with the port as it came", async () => {
    const dns = service({
      name: "dns",
      vips: [{ address: "125.12.12.12", port: 53, protocol: "udp" }],
      backends: [backend(0, "10.0.1.210", null, { weight: 3 }), backend(1, "10.0.1.211", null)],
    });
    await apply(service(), dns);
    const answers: string[] = [];
    const hear = (_s: UdpSocket, data: Buffer): void => void answers.push(data.toString());
    const asking = await client.inside(() =>
      Promise.all(Array.from({ length: 60 }, () => bindUdp("0.0.0.0", 0, hear))),
    );
    for (const socket of asking) socket.send(Buffer.from("?"), 53, "125.12.12.12");
    await eventually(() => answers.length === 60);
    for (const socket of asking) socket.close();
    const first = answers.filter((text) => text.startsWith("A 202.20.20.20")).length;
    const second = answers.filter((text) => text.startsWith("B 202.20.20.20")).length;
    expect(first + second).toBe(60);
    expect(first).toBeGreaterThan(second);
    const counts = await director.within(() => applier.counts());
    const { service: whole, backends } = counts.get("dns")!;
    expect(whole).toMatchObject({ packetsIn: 60, packetsOut: 60, drops: 0 });
    // Without a table of flows there is no count of them: null in status, never 0.
    expect(whole.connections).toBe(engine === "nftables" ? 60 : undefined);
    expect(backends.get(0)!.packetsIn).toBe(first);
  });

  test("living connections survive a backend drained, removed and added, and the counters go on", async () => {
    await apply(service());
    const held: Greeted[] = [];
    for (let i = 0; i < 30; i++) held.push((await connect(client, "125.12.12.12", 80))!);
    expect(await alive(held)).toBe(30);
    const before = (await director.within(() => applier.counts())).get("web")!;
    expect(before.backends.get(0)!.packetsIn).toBeGreaterThan(0);
    expect(before.backends.get(1)!.packetsIn).toBeGreaterThan(0);
    // Drained: nothing new, the old goes on.
    const drained = service({
      backends: [backend(0, "10.0.1.210", 8000, { state: "draining" }), backend(1, "10.0.1.211", 8000)],
      eligible: [1],
    });
    await director.within(() => applier.refresh([drained]));
    expect(await alive(held)).toBe(30);
    for (let i = 0; i < 8; i++) expect(await ask(client, "125.12.12.12", 80)).toMatch(/^B /);
    // Removed by a new revision, then added again under another number.
    await apply(service({ backends: [backend(1, "10.0.1.211", 8000)], eligible: [1] }));
    expect(await alive(held)).toBe(30);
    await apply(
      service({ backends: [backend(1, "10.0.1.211", 8000), backend(2, "10.0.1.210", 8000)], eligible: [1, 2] }),
    );
    expect(await alive(held)).toBe(30);
    const after = (await director.within(() => applier.counts())).get("web")!;
    expect(after.backends.get(1)!.packetsIn!).toBeGreaterThan(before.backends.get(1)!.packetsIn!);
    // Maintenance keeps nothing: its clients get a reset.
    const stopped = service({
      backends: [backend(1, "10.0.1.211", 8000), backend(2, "10.0.1.210", 8000, { state: "maintenance" })],
      eligible: [1],
    });
    await director.within(() => applier.refresh([stopped]));
    expect(await alive(held)).toBe(held.filter(({ who }) => who.startsWith("B")).length);
    for (const { socket } of held) socket.terminate();
  });

  onlyNftables("a UDP client that keeps its port leaves a dead backend at once, and no other", async () => {
    const dns = (state: Backend["state"], eligible: number[]) =>
      service({
        name: "dns",
        vips: [{ address: "125.12.12.12", port: 53, protocol: "udp" }],
        backends: [backend(0, "10.0.1.210", null, { state }), backend(1, "10.0.1.211", null)],
        eligible,
      });
    await apply(dns("up", [0, 1]));
    const heard = new Map<number, string>();
    const hear = (socket: UdpSocket, data: Buffer): void => void heard.set(socket.port, data.toString()[0]!);
    const asking = await client.inside(() =>
      Promise.all(Array.from({ length: 20 }, () => bindUdp("0.0.0.0", 0, hear))),
    );
    const askAll = async (): Promise<Map<number, string>> => {
      heard.clear();
      for (const socket of asking) socket.send(Buffer.from("?"), 53, "125.12.12.12");
      await eventually(() => heard.size === asking.length);
      return new Map(heard);
    };
    const first = await askAll();
    expect(new Set(first.values())).toEqual(new Set(["A", "B"]));
    // Drained: flows stay. Down: those of the dead move, the others are left where they are.
    await director.within(() => applier.refresh([dns("draining", [1])]));
    expect(await askAll()).toEqual(first);
    await director.within(() => applier.refresh([dns("down", [1])]));
    expect(new Set((await askAll()).values())).toEqual(new Set(["B"]));
    for (const socket of asking) socket.close();
  });

  onlyNftables("helper ftp: the data connections, passive and active, follow the control connection", async () => {
    // As much of an FTP server as the helper looks at: greets, names its passive port, dials back when told to.
    const control = a.inside(() =>
      listenTcp<null>(
        "0.0.0.0",
        2121,
        {
          open: (socket) => void socket.write("220 ready\r\n"),
          data(socket, chunk) {
            const line = chunk.toString();
            // RFC 959: four bytes of address and two of port. 8000 is where server A greets.
            if (line.startsWith("PASV"))
              socket.write(`227 Entering Passive Mode (10,0,1,210,${8000 >> 8},${8000 & 255})\r\n`);
            const port = /^PORT (\d+),(\d+),(\d+),(\d+),(\d+),(\d+)/.exec(line)?.slice(1).map(Number);
            if (port) socket.write(`200 told ${port.slice(0, 4).join(".")} ${port[4]! * 256 + port[5]!}\r\n`);
          },
        },
        () => null,
      ),
    );
    closers.push(control);
    await apply(
      service({
        name: "ftp",
        helper: "ftp",
        vips: [{ address: "125.12.12.12", port: 21, protocol: "tcp" }],
        backends: [backend(0, "10.0.1.210", 2121)],
        eligible: [0],
      }),
    );
    const session = (await connect(client, "125.12.12.12", 21))!;
    expect(session.who).toBe("220 ready");
    const say = async (line: string): Promise<string> => {
      session.socket.data.heard = "";
      session.socket.write(`${line}\r\n`);
      await eventually(() => session.socket.data.heard.endsWith("\r\n"));
      return session.socket.data.heard;
    };
    // Passive: the server's own address is rewritten to the VIP, and the connection that is announced gets through.
    const passive = /\(125,12,12,12,(\d+),(\d+)\)/.exec(await say("PASV"))!;
    const announced = Number(passive[1]) * 256 + Number(passive[2]);
    expect(await ask(client, "125.12.12.12", announced)).toMatch(/^A 202\.20\.20\.20:/);
    // Active: the server dials the client, who sees it come from the VIP.
    expect(await say("PORT 202,20,20,20,35,40")).toContain("200 told 202.20.20.20 9000");
    expect(await ask(a, "202.20.20.20", 9000, 20)).toMatch(/^C 125\.12\.12\.12:20$/);
    session.socket.terminate();
  });

  test("nobody eligible: dropped and counted; the backends' own traffic goes on", async () => {
    await apply(service({ eligible: [] }));
    expect(await ask(client, "125.12.12.12", 80)).toBe("");
    const counts = await director.within(() => applier.counts());
    expect(counts.get("web")!.drops.SLUICE_DROP_NO_BACKEND).toBeGreaterThan(0);
    expect(await ask(a, "202.20.20.20", 9000)).toMatch(/^C 10\.0\.1\.210:/);
  });

  onlyNftables("masquerade: a client in the backends' own network is answered", async () => {
    await apply(service({ masquerade: true }));
    a.sh("ip route add 125.12.12.12/32 via 10.0.1.50");
    for (let i = 0; i < 6; i++) expect(await ask(a, "125.12.12.12", 80)).toMatch(/^[AB] 10\.0\.1\.50:/);
  });

  onlyNftables("hairpin: a backend may ask the VIP, and other clients are still seen as they are", async () => {
    await apply(service({ hairpin: true }));
    a.sh("ip route replace 125.12.12.12/32 via 10.0.1.50");
    for (let i = 0; i < 6; i++) expect(await ask(a, "125.12.12.12", 80)).toMatch(/^[AB] 10\.0\.1\.50:/);
    expect(await ask(client, "125.12.12.12", 80)).toMatch(/^[AB] 202\.20\.20\.20:/);
  });

  test("a standby holds no VIP; promoted it does; removal leaves the host as it was", async () => {
    await apply(service());
    await director.within(() => applier.setRole!("standby"));
    expect(director.sh("ip -br address")).not.toContain("125.12.12.12");
    await director.within(() => applier.setRole!("active"));
    expect(director.sh("ip -br address")).toContain("125.12.12.12/32");
    expect(await ask(client, "125.12.12.12", 80)).toMatch(/^[AB] /);
    await director.within(() => applier.remove());
    expect(director.sh("ip -br address")).not.toContain("125.12.12.12");
    expect(director.sh("nft list ruleset")).toBe("");
    expect(director.sh("sysctl -n net.ipv4.ip_forward").trim()).toBe("0");
  });

  onlyNftables("a refused rule set changes nothing and says what nft said", async () => {
    await apply(service());
    const before = director.sh("nft list ruleset");
    const bad = service({ engine, backends: [backend(0, "10.0.1.210", 70_000)], eligible: [0] });
    const refused = await director.within(() => applier.prepare([bad]));
    expect(Array.isArray(refused) && refused[0]!.code).toBe("SLUICE_NFT");
    expect(director.sh("nft list ruleset")).toBe(before);
    await director.within(() => applier.remove());
  });
}
