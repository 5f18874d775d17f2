import { afterEach, expect, test } from "bun:test";
import { nameToWire } from "../../protocols/dns/name.ts";
import { Rcode, Type } from "../../protocols/dns/numbers.ts";
import { checkTsig } from "../../protocols/dns/tsig.ts";
import { bindUdp, type UdpSocket } from "../../runtime/udp.ts";
import { Notifier } from "./notifier.ts";
import { someSettings } from "./testing.ts";
import { tsigKeys } from "./transfers.ts";

const pace = { begin: 1, again: 10, tries: 3 };
const apexes = ["example.com", "example.net"].map((name) => nameToWire(name)!);
const secret = Buffer.alloc(32, 9).toString("base64");
const open: (() => void)[] = [];
afterEach(() => {
  for (const end of open.splice(0)) end();
});

/** A server that is told, and what it has heard; `answer` gives its answer, null for silence. */
async function secondary(answer: (message: Buffer, times: number) => Uint8Array | null) {
  const heard: Buffer[] = [];
  const socket: UdpSocket = await bindUdp("127.0.0.1", 0, (own, message, port, address) => {
    heard.push(Buffer.from(message));
    const said = answer(Buffer.from(message), heard.length);
    if (said !== null) own.send(said, port, address);
  });
  open.push(() => socket.close());
  return { heard, port: socket.port };
}

/** The answer that says that it was heard. */
const response = (message: Buffer, rcode: number = Rcode.NOERROR): Buffer => {
  const made = Buffer.from(message.subarray(0, 12 + apexes[0]!.length + 4));
  made[2]! |= 0x80;
  made[3] = rcode;
  made.writeUInt16BE(0, 10);
  return made;
};

function notifier(notify: object[] | string[], more: object = {}) {
  const said: string[] = [];
  const settings = someSettings({
    listen: ["127.0.0.1:53"],
    transfers: { from: ["127.0.0.0/8"], notify },
    ...more,
  });
  const made = new Notifier(settings, (_level, message) => void said.push(message), pace);
  open.push(() => made.stop());
  return { made, said, settings };
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await Bun.sleep(2);
};

test("transfer.notify: every zone is told: operation NOTIFY, authoritative, SOA asked for, once when it is answered", async () => {
  const { heard, port } = await secondary((message) => response(message));
  const { made, said } = notifier([`127.0.0.1:${port}`]);
  made.tell(() => apexes);
  await until(() => heard.length === 2);
  await Bun.sleep(pace.again * 8);
  expect(heard.map((message) => message.subarray(2, 12).toString("hex"))).toEqual(
    Array(2).fill("24000001000000000000"),
  );
  const asked = heard.map((message) => message.subarray(12).toString("hex"));
  expect(asked.sort()).toEqual(apexes.map((apex) => `${Buffer.from(apex).toString("hex")}000${Type.SOA}0001`).sort());
  expect(said).toEqual([]);
});

test("silence is met by asking again, then told once for all zones; what is forged counts for nothing", async () => {
  const wrong = [
    (message: Buffer) => Buffer.concat([Buffer.from([message[0]! ^ 1]), response(message).subarray(1)]),
    (message: Buffer) => message,
    (message: Buffer) => response(message).fill(0x80, 2, 3),
  ];
  const { heard, port } = await secondary((message, times) => wrong[times % 3]!(message));
  const { made, said } = notifier([`127.0.0.1:${port}`]);
  made.tell(() => apexes);
  await until(() => said.length > 0);
  await Bun.sleep(pace.again * 8);
  expect(heard.length).toBe(2 * pace.tries);
  expect(said).toEqual([
    expect.stringMatching(/^127\.0\.0\.1 port \d+ does not answer NOTIFY for example\.(com|net)$/),
  ]);
});

test("a refusal ends it, and is said", async () => {
  const { heard, port } = await secondary((message) => response(message, Rcode.REFUSED));
  const { made, said } = notifier([`127.0.0.1:${port}`]);
  made.tell(() => apexes.slice(0, 1));
  await until(() => said.length > 0);
  await Bun.sleep(pace.again * 4);
  expect([heard.length, said.length, said[0]]).toEqual([
    1,
    1,
    expect.stringContaining("refuses NOTIFY for example.com (RCODE 5)"),
  ]);
});

test("with a key it is signed, and only a signed answer counts", async () => {
  const settings = { tsigKeys: { "peer.example": { secret } } };
  const { heard, port } = await secondary((message, times) => {
    const at = 12 + apexes[0]!.length + 4;
    const { error, session } = checkTsig(message, at, message.length, keys, Math.floor(Date.now() / 1000))!;
    expect(error).toBe(0);
    const plain = response(message);
    const out = Buffer.alloc(512);
    out.set(plain);
    return times === 1 ? plain : out.subarray(0, session.sign(out, plain.length));
  });
  const { made, said, settings: given } = notifier([{ to: `127.0.0.1:${port}`, key: "peer.example" }], settings);
  const keys = tsigKeys(given);
  made.tell(() => apexes.slice(0, 1));
  await until(() => heard.length === 2);
  await Bun.sleep(pace.again * 8);
  expect([heard.length, said]).toEqual([2, []]);
});

test("what comes while it is under way begins anew, with the zones of then; after the end nothing is sent", async () => {
  const { heard, port } = await secondary(() => null);
  const { made } = notifier([`127.0.0.1:${port}`]);
  made.tell(() => apexes.slice(0, 1));
  made.tell(() => apexes.slice(1));
  await until(() => heard.length > 0);
  made.stop();
  const before = heard.length;
  made.tell(() => apexes);
  await Bun.sleep(pace.again * 8);
  expect(heard.length).toBe(before);
  expect(heard.every((message) => message.includes(Buffer.from(apexes[1]!)))).toBe(true);
});
