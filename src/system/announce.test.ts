import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { announce, gratuitousArp, internetChecksum, unsolicitedNeighbour } from "./announce.ts";
import { eventually, linkedPair, netnsMissing, type TestNetns } from "./netns-testing.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const mac = "02:00:00:00:00:0a";

test("gratuitous ARP: sender and target are the address; broadcast", () => {
  expect(hex(gratuitousArp(mac, "125.12.12.77", "request")).slice(0, 84)).toBe(
    "ffffffffffff" +
      "02000000000a" +
      "0806" +
      "0001080006040001" +
      "02000000000a" +
      "7d0c0c4d" +
      "000000000000" +
      "7d0c0c4d",
  );
  expect(hex(gratuitousArp(mac, "125.12.12.77", "reply")).slice(40, 84)).toBe(
    "0002" + "02000000000a" + "7d0c0c4d" + "02000000000a" + "7d0c0c4d",
  );
});

test("unsolicited advertisement: hop limit 255, override, checksum sums to zero", () => {
  const frame = unsolicitedNeighbour(mac, "2001:db8::77");
  expect(frame.length).toBe(86);
  expect(frame[21]).toBe(255);
  expect(frame[58]).toBe(0x20);
  const pseudo = Uint8Array.from([0, 0, 0, 32, 0, 0, 0, 58]);
  expect(internetChecksum([frame.subarray(22, 38), frame.subarray(38, 54), pseudo, frame.subarray(54)])).toBe(0);
});

const missing = netnsMissing();
if (missing) console.warn(`announce: skipped, ${missing}`);

describe.skipIf(missing !== null)("announce on a link", () => {
  let link: ReturnType<typeof linkedPair>;
  let a: TestNetns;
  let b: TestNetns;
  beforeAll(() => {
    link = linkedPair();
    ({ a, b } = link);
  });
  afterAll(() => {
    link?.remove();
  });

  test("a neighbour that held another link address for it takes ours", async () => {
    b.sh("ip neigh replace 10.9.0.77 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
    b.sh("ip neigh replace 2001:db8::77 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
    const own = JSON.parse(a.sh("ip -json link show eth0"))[0].address;
    const learned = (address: string) => b.sh(`ip neigh show ${address}`).includes(own);
    await a.within(() => announce("eth0", ["10.9.0.77"]));
    expect(await eventually(() => learned("10.9.0.77"))).toBe(true);
    await a.within(() => announce("eth0", ["2001:db8::77"]));
    expect(await eventually(() => learned("2001:db8::77"))).toBe(true);
  });

  test("a device without a link address has nobody to tell", async () => {
    await a.within(() => announce("lo", ["10.9.0.77"]));
  });
});
