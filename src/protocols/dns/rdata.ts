import { addressOctets } from "../../core/address.ts";
import { Type } from "./numbers.ts";
import type { Rdata } from "./template.ts";

/** Record type that carries an address: A or AAAA. */
export const addressType = (address: string): number => (address.includes(":") ? Type.AAAA : Type.A);

export interface Soa {
  primary: Uint8Array;
  admin: Uint8Array;
  serial: number;
  /** Seconds, as are those below. */
  refresh: number;
  retry: number;
  expire: number;
  /** TTL of negative answers (RFC 2308 4). */
  minimum: number;
}

export function soaRdata(soa: Soa): Rdata {
  const numbers = new Uint8Array(20);
  const view = new DataView(numbers.buffer);
  [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum].forEach((n, i) => {
    view.setUint32(i * 4, n);
  });
  return [{ name: soa.primary }, { name: soa.admin }, numbers];
}

/** Character strings of at most 255 octets each (TXT, HINFO). ASCII. */
export function stringsRdata(...texts: string[]): Rdata {
  return texts.map((text) => {
    const octets = new TextEncoder().encode(text).subarray(0, 255);
    return Uint8Array.from([octets.length, ...octets]);
  });
}

/**
 * One whole address record whose owner is the question's name, ready to be copied into an answer: pointer, type, class,
 * TTL, length, address. 16 octets for A, 28 for AAAA.
 */
export function addressRecord(address: string, ttl: number): Uint8Array {
  const data = addressOctets(address);
  const record = new Uint8Array(12 + data.length);
  const view = new DataView(record.buffer);
  view.setUint16(0, 0xc00c);
  view.setUint16(2, addressType(address));
  view.setUint16(4, 1);
  view.setUint32(6, ttl);
  view.setUint16(10, data.length);
  record.set(data, 12);
  return record;
}
