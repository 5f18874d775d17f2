import { type Packet, parsePacket } from "./packet.ts";

/**
 * Packets of a capture file as tcpdump writes it (libpcap 2.4, either byte order, micro- or nanoseconds, Ethernet).
 * A last record that is not yet whole is left out, so a file may be read while it grows. Throws for another format.
 */
export function parsePcap(file: Uint8Array): Packet[] {
  if (file.length < 24) return [];
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const magic = view.getUint32(0, true);
  const little = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  const canonical = little ? magic : view.getUint32(0, false);
  if (canonical !== 0xa1b2c3d4 && canonical !== 0xa1b23c4d) throw new Error("not a pcap file");
  const linkType = view.getUint32(20, little) & 0xffff;
  if (linkType !== 1) throw new Error(`link type ${linkType}: only Ethernet (1) is read`);
  const fraction = canonical === 0xa1b2c3d4 ? 1e3 : 1e6;
  const packets: Packet[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const captured = view.getUint32(at + 8, little);
    const next = at + 16 + captured;
    if (next > file.length) break;
    const time = view.getUint32(at, little) * 1000 + view.getUint32(at + 4, little) / fraction;
    packets.push(parsePacket(file.subarray(at + 16, next), time, view.getUint32(at + 12, little)));
    at = next;
  }
  return packets;
}
