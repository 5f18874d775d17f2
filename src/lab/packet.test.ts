import { expect, test } from "bun:test";
import fc from "fast-check";
import { checksum, packetText, parsePacket } from "./packet.ts";
import { parsePcap } from "./pcap.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));

const ethernet = "02007d0c0c01 02007d0c0c0c 0800";
/** 202.20.20.20:5656 > 125.12.12.12:80, SYN, MSS 1460, as Linux sent it. */
const synHeader = "4500002c1234400040 06 0000 ca141414 7d0c0c0c";
const synSegment = "1618 0050 00000001 00000000 6002 faf0 0000 0000 020405b4";

function withChecksums(header: string, segment: string): Uint8Array {
  const ip = hex(header);
  const tcp = hex(segment);
  const set = (bytes: Uint8Array, at: number, value: number) => bytes.set([value >> 8, value & 255], at);
  set(ip, 10, checksum(ip));
  set(tcp, 16, checksum(ip.subarray(12, 20), Uint8Array.of(0, 6, 0, tcp.length), tcp));
  return Uint8Array.from([...hex(ethernet), ...ip, ...tcp]);
}

test("a TCP SYN: addresses, ports, flags, MSS, checksums", () => {
  const packet = parsePacket(withChecksums(synHeader, synSegment));
  expect(packet.sourceMac).toBe("02:00:7d:0c:0c:0c");
  expect(packet.ip).toMatchObject({ source: "202.20.20.20", destination: "125.12.12.12", ttl: 64, dontFragment: true });
  expect(packet.ip?.tcp).toMatchObject({ sourcePort: 5656, destinationPort: 80, flags: ["SYN"], mss: 1460 });
  expect([packet.ip?.headerChecksumValid, packet.ip?.tcp?.checksumValid]).toEqual([true, true]);
  expect(packetText(packet)).toEndWith("202.20.20.20:5656 > 125.12.12.12:80 tcp SYN 0 bytes");
});

test("a flipped bit anywhere in header or segment is a wrong checksum", () => {
  const good = withChecksums(synHeader, synSegment);
  fc.assert(
    fc.property(fc.integer({ min: 14 + 12, max: good.length - 1 }), fc.integer({ min: 0, max: 7 }), (at, bit) => {
      const bad = good.slice();
      bad[at] = bad[at]! ^ (1 << bit);
      const { ip } = parsePacket(bad);
      return !(ip?.headerChecksumValid && ip.tcp?.checksumValid);
    }),
  );
});

test("IP in IP: both headers", () => {
  const outer = hex("450000400000400040 04 0000 7d0c0c0c c6336414");
  const inner = withChecksums(synHeader, synSegment).subarray(14);
  const packet = parsePacket(Uint8Array.from([...hex(ethernet), ...outer, ...inner]));
  expect(packet.ip).toMatchObject({ source: "125.12.12.12", destination: "198.51.100.20", protocol: 4 });
  expect(packet.ip?.inner).toMatchObject({ source: "202.20.20.20", destination: "125.12.12.12" });
  expect(packet.ip?.inner?.tcp?.checksumValid).toBe(true);
});

test("an ARP request", () => {
  const arp = `ffffffffffff 02007d0c0c01 0806 0001 0800 06 04 0001 02007d0c0c01 7d0c0c01 000000000000 7d0c0c4d`;
  expect(parsePacket(hex(arp)).arp).toMatchObject({
    operation: "request",
    sender: "125.12.12.1",
    target: "125.12.12.77",
  });
});

test("no bytes make the reader throw", () => {
  const good = withChecksums(synHeader, synSegment);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => void packetText(parsePacket(bytes))));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(good.length), (bytes, cut) => {
      packetText(parsePacket(Uint8Array.from([...good.subarray(0, cut), ...bytes])));
    }),
  );
});

test("a capture file that still grows is read up to its last whole record", () => {
  const frame = withChecksums(synHeader, synSegment);
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0xa1b2c3d4, true);
  view.setUint32(20, 1, true);
  const record = new Uint8Array(16 + frame.length);
  new DataView(record.buffer).setUint32(0, 7, true);
  new DataView(record.buffer).setUint32(8, frame.length, true);
  new DataView(record.buffer).setUint32(12, frame.length, true);
  record.set(frame, 16);
  const file = Uint8Array.from([...header, ...record, ...record]);
  for (let length = 0; length <= file.length; length++) {
    const whole = Math.max(0, Math.floor((length - 24) / record.length));
    expect(parsePcap(file.subarray(0, length))).toHaveLength(whole);
  }
  expect(parsePcap(file)[0]).toMatchObject({ at: 7000, length: frame.length });
});
