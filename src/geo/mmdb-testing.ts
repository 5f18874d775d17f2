import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePrefix } from "./prefix.ts";

/** For tests: writes databases as the format describes them (maxmind.github.io/MaxMind-DB, 2.0). */

/** `Uint8Array`: octets as they are. */
type Value = string | number | Uint8Array | { [key: string]: Value };

function control(type: number, size: number): number[] {
  const kind = [type << 5];
  if (size >= 29 + 256) throw new Error("a test needs no longer values");
  kind[0]! |= Math.min(size, 29);
  return size < 29 ? kind : [...kind, size - 29];
}

function encode(value: Value): number[] {
  if (typeof value === "string") {
    const octets = [...new TextEncoder().encode(value)];
    return [...control(2, octets.length), ...octets];
  }
  if (typeof value === "number")
    return [...control(6, 4), value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
  if (value instanceof Uint8Array) return [...value];
  const entries = Object.entries(value);
  return [...control(7, entries.length), ...entries.flatMap(([key, inner]) => [...encode(key), ...encode(inner)])];
}

export interface Network {
  prefix: string;
  record: Value;
}

/** An IPv6 database of these networks; IPv4 ones lie in its first 96 zero bits, as MaxMind's do. */
export function makeMmdb(
  networks: readonly Network[],
  recordSize: 24 | 28 | 32,
  more: Record<string, Value> = {},
): Buffer {
  const nodes: [number, number][] = [[0, 0]];
  const data: number[] = [];
  /** A record that several networks share stands once. */
  const offsets = new Map<Value, number>();
  // 0: nothing; above 0: a node; below 0: data at -1 - value.
  for (const { prefix, record } of networks) {
    const { bytes, length } = parsePrefix(prefix)!;
    const offset = offsets.get(record) ?? data.length;
    if (!offsets.has(record)) data.push(...encode(record));
    offsets.set(record, offset);
    const path = [...(bytes.length === 4 ? Array(96).fill(0) : []), ...bits(bytes, length)];
    let node = 0;
    for (const [i, bit] of path.entries()) {
      if (i === path.length - 1) nodes[node]![bit as 0 | 1] = -1 - offset;
      else {
        if (nodes[node]![bit as 0 | 1] <= 0) nodes[node]![bit as 0 | 1] = nodes.push([0, 0]) - 1;
        node = nodes[node]![bit as 0 | 1];
      }
    }
  }
  const count = nodes.length;
  const pointer = (value: number): number => (value > 0 ? value : value === 0 ? count : count + 16 + (-1 - value));
  const tree = nodes.flatMap(([left, right]) => nodeOctets(pointer(left), pointer(right), recordSize));
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 86_400,
    database_type: "Sluice-Test",
    ip_version: 6,
    node_count: count,
    record_size: recordSize,
    ...more,
  });
  const marker = [0xab, 0xcd, 0xef, ...new TextEncoder().encode("MaxMind.com")];
  return Buffer.from([...tree, ...Array(16).fill(0), ...data, ...marker, ...metadata]);
}

const bits = (bytes: Uint8Array, length: number): number[] =>
  Array.from({ length }, (_, i) => (bytes[i >> 3]! >> (7 - (i & 7))) & 1);

function nodeOctets(left: number, right: number, size: 24 | 28 | 32): number[] {
  const octets = (value: number, count: number): number[] =>
    Array.from({ length: count }, (_, i) => (value >>> (8 * (count - 1 - i))) & 255);
  if (size === 28)
    return [...octets(left & 0xffffff, 3), ((left >>> 20) & 0xf0) | (right >>> 24), ...octets(right & 0xffffff, 3)];
  return [...octets(left, size / 8), ...octets(right, size / 8)];
}

interface Land {
  prefix: string;
  country: string;
  continent: string;
}

/** A database of these countries in a folder of its own, which `remove` takes away. */
export function writeMmdb(lands: readonly Land[]): { file: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), "sluice-geo-"));
  const file = join(directory, "geo.mmdb");
  const records = lands.map(({ prefix, country, continent }) => ({
    prefix,
    record: { country: { iso_code: country }, continent: { code: continent } },
  }));
  writeFileSync(file, makeMmdb(records, 28));
  return { file, remove: () => rmSync(directory, { recursive: true }) };
}

/** Runs `use` with the path of a database of these countries, and removes it. */
export function withMmdb(lands: readonly Land[], use: (file: string) => void): void {
  const { file, remove } = writeMmdb(lands);
  try {
    use(file);
  } finally {
    remove();
  }
}
