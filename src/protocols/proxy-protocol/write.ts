import { isIPv6, toBytes16 } from "../../core/address.ts";
import { SIGNATURE } from "./read.ts";

/** One end of a connection; the address in canonical text. */
export interface Endpoint {
  address: string;
  port: number;
}

const UNKNOWN = Buffer.from("PROXY UNKNOWN\r\n", "latin1");

/**
 * The header that tells a backend whom a connection is for (haproxy.org, proxy-protocol.txt 2.1, 2.2). Version 1 knows
 * no mixture of families: it then says UNKNOWN; version 2 maps the IPv4 end into IPv6.
 */
export function writeIntroduction(version: "v1" | "v2", source: Endpoint, destination: Endpoint): Buffer {
  return version === "v1" ? writeV1(source, destination) : writeV2(source, destination);
}

/** The header of a connection that is for nobody but its sender, such as a check's: UNKNOWN, or LOCAL (2.1, 2.2). */
export const writeLocal = (version: "v1" | "v2"): Buffer =>
  version === "v1" ? UNKNOWN : Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0])]);

function writeV1(source: Endpoint, destination: Endpoint): Buffer {
  const six = isIPv6(source.address);
  if (six !== isIPv6(destination.address)) return UNKNOWN;
  const ends = `${source.address} ${destination.address} ${source.port} ${destination.port}`;
  return Buffer.from(`PROXY TCP${six ? 6 : 4} ${ends}\r\n`, "latin1");
}

function writeV2(source: Endpoint, destination: Endpoint): Buffer {
  const six = isIPv6(source.address) || isIPv6(destination.address);
  const size = six ? 16 : 4;
  const out = Buffer.alloc(16 + 2 * size + 4);
  SIGNATURE.copy(out);
  out[12] = 0x21; // version 2, PROXY
  out[13] = six ? 0x21 : 0x11; // IPv6 or IPv4, stream
  out.writeUInt16BE(2 * size + 4, 14);
  out.set(toBytes16(source.address).subarray(16 - size), 16);
  out.set(toBytes16(destination.address).subarray(16 - size), 16 + size);
  out.writeUInt16BE(source.port, 16 + 2 * size);
  out.writeUInt16BE(destination.port, 18 + 2 * size);
  return out;
}
