import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Listener } from "../../core/service.ts";
import { aBackend } from "../../core/testing.ts";
import { bindUdp } from "../../runtime/udp.ts";
import { eventually, netnsMissing } from "../../system/netns-testing.ts";
import type { NatService } from "./compile.ts";
import type { EngineName } from "./engines.ts";
import { alive, ask, connect, type Greeted, Stage, service } from "./testing/stage.ts";

const missing = netnsMissing();
if (missing) console.warn(`nat, ranges of ports: skipped, ${missing}`);

const VIP = "125.12.12.12";
const listener = (port: number, last?: number, protocol: Listener["protocol"] = "tcp"): Listener => ({
  address: VIP,
  port,
  ...(last === undefined ? {} : { last }),
  protocol,
});
const A = "10.0.1.210";
const B = "10.0.1.211";
/** A service of one backend. */
const one = (name: string, vip: Listener, address: string, port: number | null, more: Partial<NatService> = {}) =>
  service({ name, vips: [vip], backends: [aBackend(0, address, port)], eligible: [0], ...more });

for (const engine of ["nftables", "xdp"] as const)
  describe.skipIf(missing !== null)(`nat by ${engine}: one VIP, many services`, () => ranges(engine));

function ranges(engine: EngineName): void {
  const onlyNftables: typeof test | (() => void) = engine === "nftables" ? test : () => {};
  let stage: Stage;

  beforeAll(async () => {
    stage = new Stage(engine);
    const { a, b } = stage.hosts;
    // A greets with the port that it was asked on.
    for (const port of [8000, 8050, 8100, 9500]) stage.serveTcp(a, `A${port}`, port);
    for (const port of [80, 8000, 8050, 9500]) stage.serveTcp(b, `B${port}`, port);
    for (const port of [8050, 8060]) {
      await stage.serveUdp(a, "A", port);
      await stage.serveUdp(b, "B", port);
    }
  });
  afterAll(() => stage?.close());

  const asked = async (port: number): Promise<string> => (await ask(stage.hosts.client, VIP, port)).split(" ")[0]!;
  const counts = async (name: string) =>
    (await stage.hosts.director.within(() => stage.applier.counts())).get(name)!.service;

  test("one port goes before a range, a range before all ports; only a single port is translated", async () => {
    await stage.apply(
      one("rest", listener(1, 65_535), B, null),
      one("streams", listener(8000, 8100), A, null),
      one("shop", listener(80), B, 8000),
    );
    expect(await asked(80)).toBe("B8000");
    for (const port of [8000, 8050, 8100]) expect(await asked(port)).toBe(`A${port}`);
    expect(await asked(9500)).toBe("B9500");
    expect(await asked(7777)).toBe("");
    const [shop, streams] = [await counts("shop"), await counts("streams")];
    expect(shop.packetsIn!).toBeGreaterThanOrEqual(3);
    expect(shop.packetsOut!).toBeGreaterThanOrEqual(2);
    expect(streams.packetsIn!).toBeGreaterThanOrEqual(9);
    expect(streams.packetsOut!).toBeGreaterThanOrEqual(6);
    if (engine === "nftables") expect([shop.connections, streams.connections]).toEqual([1, 3]);
  });

  test("UDP has ranges of its own on the same ports", async () => {
    const heard: string[] = [];
    await stage.apply(
      one("streams", listener(8000, 8100), A, null),
      one("calls", listener(8000, 8100, "udp"), B, null),
    );
    const socket = await stage.hosts.client.inside(() =>
      bindUdp("0.0.0.0", 0, (_socket, data) => void heard.push(data.toString())),
    );
    socket.send(Buffer.from("?"), 8050, VIP);
    await eventually(() => heard.length === 1);
    socket.close();
    expect(heard).toEqual(["B 202.20.20.20"]);
    expect(await asked(8050)).toBe("A8050");
    expect(await counts("calls")).toMatchObject({ packetsIn: 1, packetsOut: 1 });
  });

  onlyNftables("a range, and all ports, may lead to one port of a backend", async () => {
    await stage.apply(one("rest", listener(1, 65_535), B, 8000), one("streams", listener(8000, 8100), A, 8050));
    for (const port of [8000, 8100]) expect(await asked(port)).toBe("A8050");
    for (const port of [22, 9999]) expect(await asked(port)).toBe("B8000");
    expect(await counts("rest")).toMatchObject({ connections: 2 });
    expect((await counts("rest")).packetsOut!).toBeGreaterThanOrEqual(4);
  });

  onlyNftables("maintenance cuts the flows of a range, and none of the service whose port lies within it", async () => {
    const streams = (state: "up" | "maintenance") =>
      service({
        name: "streams",
        vips: [listener(1, 65_535)],
        backends: [aBackend(0, A, null, { state }), aBackend(1, B, null)],
        eligible: state === "up" ? [0] : [1],
      });
    await stage.apply(streams("up"), one("shop", listener(8000), A, null));
    const held = {
      mine: await connect(stage.hosts.client, VIP, 8050),
      others: await connect(stage.hosts.client, VIP, 8000),
    };
    expect([held.mine?.who.split(" ")[0], held.others?.who.split(" ")[0]]).toEqual(["A8050", "A8000"]);
    await stage.hosts.director.within(() => stage.applier.refresh([streams("maintenance")]));
    expect(await alive([held.mine as Greeted])).toBe(0);
    expect(await alive([held.others as Greeted])).toBe(1);
    expect(await asked(8050)).toBe("B8050");
    held.others!.socket.terminate();
  });

  onlyNftables("UDP flows of a range leave a dead backend at once; those of a port within it stay", async () => {
    const calls = (state: "up" | "down") =>
      service({
        name: "calls",
        vips: [listener(8000, 8100, "udp")],
        backends: [aBackend(0, A, null, { state }), aBackend(1, B, null)],
        eligible: state === "up" ? [0] : [1],
      });
    const fixed = (address: string) => one("fixed", listener(8060, undefined, "udp"), address, null);
    await stage.apply(calls("up"), fixed(A));
    const heard: string[] = [];
    const socket = await stage.hosts.client.inside(() =>
      bindUdp("0.0.0.0", 0, (_socket, data, port) => void heard.push(`${port} ${data.toString()[0]}`)),
    );
    const both = async (): Promise<string[]> => {
      heard.length = 0;
      for (const port of [8050, 8060]) socket.send(Buffer.from("?"), port, VIP);
      await eventually(() => heard.length === 2);
      return [...heard].sort();
    };
    expect(await both()).toEqual(["8050 A", "8060 A"]);
    // `fixed` goes to B for what is new: its flow that lives has to stay with A for all that.
    await stage.apply(calls("up"), fixed(B));
    await stage.hosts.director.within(() => stage.applier.refresh([calls("down")]));
    expect(await both()).toEqual(["8050 B", "8060 A"]);
    socket.close();
  });

  onlyNftables("masquerade of all ports leaves a port of another service as it is", async () => {
    await stage.apply(
      one("rest", listener(1, 65_535), A, null, { masquerade: true }),
      one("shop", listener(80), B, 8000),
    );
    expect(await ask(stage.hosts.client, VIP, 8050)).toMatch(/^A8050 10\.0\.1\.50:/);
    expect(await ask(stage.hosts.client, VIP, 80)).toMatch(/^B8000 202\.20\.20\.20:/);
  });

  onlyNftables("hairpin of a range: its backends may ask it, other clients are seen as they are", async () => {
    const { a, client } = stage.hosts;
    await stage.apply(
      service({
        name: "streams",
        vips: [listener(8000, 8100)],
        backends: [aBackend(0, A, null), aBackend(1, B, null)],
        hairpin: true,
      }),
    );
    a.sh(`ip route replace ${VIP}/32 via 10.0.1.50`);
    for (let i = 0; i < 6; i++) expect(await ask(a, VIP, 8050)).toMatch(/^[AB]8050 10\.0\.1\.50:/);
    expect(await ask(client, VIP, 8050)).toMatch(/^[AB]8050 202\.20\.20\.20:/);
  });
}
