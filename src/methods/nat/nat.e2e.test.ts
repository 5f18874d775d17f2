import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Backend } from "../../core/backend.ts";
import type { Applier } from "../../core/method.ts";
import { aBackend } from "../../core/testing.ts";
import { listenTcp } from "../../runtime/tcp.ts";
import { bindUdp, type UdpSocket } from "../../runtime/udp.ts";
import { eventually, netnsMissing, type TestNetns } from "../../system/netns-testing.ts";
import type { NatService } from "./compile.ts";
import type { EngineName } from "./engines.ts";
import { alive, ask, connect, type Greeted, Stage, service } from "./testing/stage.ts";

const missing = netnsMissing();
if (missing) console.warn(`nat end to end: skipped, ${missing}`);

for (const engine of ["nftables", "xdp"] as const) {
  describe.skipIf(missing !== null)(`nat by ${engine}, on the article's addresses`, () => whole(engine));
}

/** Every test for one engine; what only one of them has says so. */
function whole(engine: EngineName): void {
  const onlyNftables: typeof test | (() => void) = engine === "nftables" ? test : () => {};
  let stage: Stage;
  let client: TestNetns;
  let director: TestNetns;
  let a: TestNetns;
  let b: TestNetns;
  let applier: Applier<NatService>;

  beforeAll(async () => {
    stage = new Stage(engine);
    ({ client, director, a, b } = stage.hosts);
    ({ applier } = stage);
    await stage.serve();
  });
  afterAll(() => stage?.close());
  const apply = (...next: NatService[]): Promise<void> => stage.apply(...next);

  const dump = (netns: TestNetns) => {
    const child = Bun.spawn(netns.enter("tcpdump", "-i", "eth0", "-nn", "-l", "-q", "tcp"), {
      stdout: "pipe",
      stderr: "pipe",
    });
    stage.closeLater(() => child.kill());
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
      backends: [aBackend(0, "10.0.1.210", null, { weight: 3 }), aBackend(1, "10.0.1.211", null)],
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
      backends: [aBackend(0, "10.0.1.210", 8000, { state: "draining" }), aBackend(1, "10.0.1.211", 8000)],
      eligible: [1],
    });
    await director.within(() => applier.refresh([drained]));
    expect(await alive(held)).toBe(30);
    for (let i = 0; i < 8; i++) expect(await ask(client, "125.12.12.12", 80)).toMatch(/^B /);
    // Removed by a new revision, then added again under another number.
    await apply(service({ backends: [aBackend(1, "10.0.1.211", 8000)], eligible: [1] }));
    expect(await alive(held)).toBe(30);
    await apply(
      service({ backends: [aBackend(1, "10.0.1.211", 8000), aBackend(2, "10.0.1.210", 8000)], eligible: [1, 2] }),
    );
    expect(await alive(held)).toBe(30);
    const after = (await director.within(() => applier.counts())).get("web")!;
    expect(after.backends.get(1)!.packetsIn!).toBeGreaterThan(before.backends.get(1)!.packetsIn!);
    // Maintenance keeps nothing: its clients get a reset.
    const stopped = service({
      backends: [aBackend(1, "10.0.1.211", 8000), aBackend(2, "10.0.1.210", 8000, { state: "maintenance" })],
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
        backends: [aBackend(0, "10.0.1.210", null, { state }), aBackend(1, "10.0.1.211", null)],
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
    stage.closeLater(() => control.stop());
    await apply(
      service({
        name: "ftp",
        helper: "ftp",
        vips: [{ address: "125.12.12.12", port: 21, protocol: "tcp" }],
        backends: [aBackend(0, "10.0.1.210", 2121)],
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

  onlyNftables("what somebody takes away, rules or VIP, is there again, and flows go on", async () => {
    await apply(service());
    const old = (await connect(client, "125.12.12.12", 80))!;
    director.sh("nft flush ruleset; ip address del 125.12.12.12/32 dev eth0");
    expect(await eventually(() => director.sh("ip -br address").includes("125.12.12.12/32"), 15_000)).toBe(true);
    expect(await ask(client, "125.12.12.12", 80)).toMatch(/^[AB] /);
    expect(await alive([old])).toBe(1);
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
    const bad = service({ engine, backends: [aBackend(0, "10.0.1.210", 70_000)], eligible: [0] });
    const refused = await director.within(() => applier.prepare([bad]));
    expect(Array.isArray(refused) && refused[0]!.code).toBe("SLUICE_NFT");
    expect(director.sh("nft list ruleset")).toBe(before);
    await director.within(() => applier.remove());
  });
}
