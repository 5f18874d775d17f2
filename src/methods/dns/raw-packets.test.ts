import { expect, test } from "bun:test";
import { frame, udp } from "../../dataplane/testing/frames.ts";
import { ClientAddress } from "../../geo/prefix.ts";
import { serveDatagrams } from "../../runtime/direct-udp.ts";
import { makeListener } from "../../runtime/listen.ts";
import { openFrameSocket } from "../../system/announce.ts";
import { createTestNetns, netnsMissing, wire } from "../../system/netns-testing.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

const missing = netnsMissing();
if (missing) console.log(`skipped: raw packets: ${missing}`);

const ETH_P_IP = 0x0800;
const [SERVER, CLIENT] = ["192.0.2.53", "192.0.2.9"];

test.skipIf(missing !== null)(
  "reply.port: what came from port 0, is empty or is itself an answer gets none (RFC 768, RFC 1035 4.1.1)",
  async () => {
    const [server, client] = [createTestNetns("dns"), createTestNetns("asks")];
    wire(server, "eth0", `${SERVER}/24`, client, "eth0", `${CLIENT}/24`);
    const macOf = (side: typeof server): string =>
      (JSON.parse(side.sh("ip -json link show dev eth0")) as { address: string }[])[0]!.address;
    const macs = [macOf(client), macOf(server)] as const;
    const { datagrams } = aServer([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])]);
    /** Length of each message that came, and of what was answered. */
    const seen: [asked: number, answered: number][] = [];
    const address = new ClientAddress().read(CLIENT);
    const made = server.inside(() => makeListener({ address: SERVER, port: 53, protocol: "udp" }));
    if (!made.ok) throw new Error(made.problems[0]!.message);
    const serving = await serveDatagrams(made.value, (slot, length) => {
      const answered = datagrams.answer(slot, length, address);
      seen.push([length, answered]);
      return answered;
    });
    const query = ask({ name: "shop.example.com" });
    const response = Buffer.from(query);
    response[2]! |= 0x80;
    const from = (sourcePort: number, message: Uint8Array): Uint8Array =>
      frame(...macs, udp({ source: CLIENT, target: SERVER }, { sourcePort, targetPort: 53 }, [...message]));
    const frames = [
      from(0, query),
      from(4000, new Uint8Array(0)),
      from(4000, response),
      from(4000, Uint8Array.from([...query, 0])),
      from(4000, query),
    ];
    const send = (): boolean =>
      client.inside(() => {
        const socket = openFrameSocket("eth0", ETH_P_IP);
        if (!socket.ok) throw new Error(socket.problems[0]!.message);
        const done = socket.value.send(frames);
        socket.value.close();
        return done.ok;
      });
    const whole = query.length;
    // Trailing octets are malformed; the empty one may not even be handed over.
    const expected: typeof seen = [
      [whole, 0],
      [whole + 1, whole],
      [whole, whole + 16],
    ];
    const told = () => seen.filter(([asked]) => asked > 0);
    // As the loop hands them over.
    expect(send()).toBe(true);
    for (let i = 0; i < 500 && told().length < 3; i++) await new Promise((next) => setTimeout(next, 10));
    expect(told()).toEqual(expected);
    // All in one system call, while the loop stands still.
    seen.length = 0;
    expect(send()).toBe(true);
    for (let i = 0; i < 500 && told().length < 3; i++) {
      serving.finish();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
    expect(told()).toEqual(expected);
    serving.close();
    for (const one of [server, client]) one.remove();
  },
);
