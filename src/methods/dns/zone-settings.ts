import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { type MasterSource, parseMasterFile, recordText, type ZoneRecord } from "../../protocols/dns/master-file.ts";
import { nameToWire } from "../../protocols/dns/name.ts";
import { judgeZone } from "./static-zone.ts";

/** A zone as the configuration gives it. Plain JSON: files have been read, so that a revision never changes by itself. */
export interface ZoneSettings {
  /** Lower case, no trailing dot. */
  name: string;
  /** As written, for whoever writes the configuration again; null: only named. */
  written: { file?: string; records?: string | string[] } | null;
  /** All records of it, one per line (`recordText`). */
  lines: string[];
}

/** Largest zone file that is read, bytes. */
const MOST_BYTES = 64 * 2 ** 20;
/** TTL of records in the configuration that name none, seconds. */
const RECORD_TTL = 3600;

const zone = z.strictObject({
  file: z.string().min(1).optional().describe("A master file (RFC 1035 5). Relative to where Sluice was started."),
  records: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .describe("Records as a master file has them, such as www 5m CNAME shop; names are relative to the zone."),
});
const shape = z.union([z.array(z.string()).max(10_000), z.record(z.string(), zone.nullable())]);

/** Without the mark that some editors put in front. */
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Text of a file, or why there is none. `from` is the file that names it. */
function readText(file: string, from: string | null): MasterSource | string {
  const path = from === null ? resolve(file) : resolve(dirname(from), file);
  try {
    const state = statSync(path);
    // A pipe or a device may have no end.
    if (!state.isFile()) return `${path} is no file`;
    if (state.size > MOST_BYTES) return `${path} has more than ${MOST_BYTES} bytes`;
    return { file: path, text: utf8.decode(readFileSync(path)) };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return `${path} is not UTF-8: write other octets as \\DDD`;
    return code === "ENOENT" ? `there is no file ${path}` : `${path} cannot be read (${code})`;
  }
}

type Report = (path: (string | number)[], message: string) => void;

function recordsOf(
  origin: Uint8Array,
  source: MasterSource,
  ttl: number | null,
  say: (text: string) => void,
): ZoneRecord[] {
  const { records, faults } = parseMasterFile(source, { origin, ttl, include: readText });
  for (const { file, line, message } of faults) say(`${file}:${line}: ${message}.`);
  return faults.length > 0 ? [] : records;
}

function loadZone(key: string, written: ZoneSettings["written"], report: Report): ZoneSettings {
  const name = key.toLowerCase().replace(/\.$/, "");
  const apex = nameToWire(name);
  const made: ZoneSettings = { name, written, lines: [] };
  if (name === "" || name === "." || apex === null) {
    report([], `${JSON.stringify(key)} is not a domain name.`);
    return made;
  }
  let records: ZoneRecord[] = [];
  let faults = 0;
  const at = (path: string[]) => (text: string) => {
    faults++;
    report(path, text);
  };
  if (written?.file !== undefined) {
    const source = readText(written.file, null);
    if (typeof source === "string") at(["file"])(`${source[0]!.toUpperCase()}${source.slice(1)}.`);
    else records = recordsOf(apex, source, null, at(["file"]));
  }
  if (written?.records !== undefined) {
    const text = typeof written.records === "string" ? written.records : written.records.join("\n");
    records = records.concat(recordsOf(apex, { file: name, text }, RECORD_TTL, at(["records"])));
  }
  if (faults === 0) for (const sentence of judgeZone(apex, records)) at([])(`${sentence}.`);
  made.lines = records.map(recordText);
  return made;
}

/** A name that stands twice, written in another way perhaps: DNS knows no case (RFC 4343). */
export const twice = (name: string, path: (string | number)[]) => ({
  code: "custom" as const,
  path,
  message: `The name ${name} stands twice, as DNS reads it: in any case, with a dot at its end or without.`,
  params: { code: "SLUICE_CONFIG_DUPLICATE" },
});

/** Schema of `zones:`: a list of names, or names with what they hold. Reads the files it names. */
export const zones = z
  .codec(shape, z.custom<ZoneSettings[]>(), {
    decode: (given, context): ZoneSettings[] => {
      const listed = Array.isArray(given);
      const entries = listed ? given.map((name) => [name, null] as const) : Object.entries(given);
      const made = entries.map(([name, written], i) =>
        loadZone(name, written, (path, message) => {
          context.issues.push({ code: "custom", path: [listed ? i : name, ...path], message, input: given });
        }),
      );
      const seen = new Set<string>();
      for (const [i, { name }] of made.entries()) {
        const key = entries[i]![0];
        if (seen.has(name)) context.issues.push({ ...twice(name, [listed ? i : key]), input: given });
        seen.add(name);
      }
      return made;
    },
    encode: (made) =>
      made.every((zone) => zone.written === null)
        ? made.map((zone) => zone.name)
        : Object.fromEntries(made.map((zone) => [zone.name, zone.written])),
  })
  .describe(
    "Zones this server is the authority for, with records of their own if they have some. A name outside them makes a zone of its parent.",
  );
