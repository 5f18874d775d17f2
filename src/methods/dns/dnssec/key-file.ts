import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ALGORITHM, dnskeyRdata, ENTRY_KEY, keyTag, ZONE_KEY } from "../../../protocols/dns/dnssec/rrsig.ts";
import { libc } from "../../../runtime/libc.ts";
import type { Role, ZoneKey } from "./key-states.ts";

/** What a zone's file holds. It is secret, and replaced whole. */
interface KeyFile {
  version: 1;
  zone: string;
  keys: ZoneKey[];
}

/** Where keys lie when the configuration does not say. */
export const defaultKeyFolder = (): string =>
  process.getuid?.() === 0
    ? "/var/lib/sluice/dnssec"
    : join(process.env.XDG_STATE_HOME ?? join(process.env.HOME ?? "/tmp", ".local/state"), "sluice/dnssec");

/** DNSKEY RDATA of a private key; null for one that is not of ECDSA P-256. */
function dnskeyOf(key: KeyObject, role: Role): Uint8Array | null {
  const { crv, x, y } = key.export({ format: "jwk" });
  if (crv !== "P-256") return null;
  const [xs, ys] = [x!, y!].map((text) => Buffer.from(text, "base64url"));
  return dnskeyRdata(role === "ksk" ? ENTRY_KEY : ZONE_KEY, xs!, ys!);
}

/** A new key pair: ECDSA P-256. */
export function makeKey(role: Role): Omit<ZoneKey, "state" | "since"> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const dnskey = dnskeyOf(privateKey, role)!;
  return {
    role,
    tag: keyTag(dnskey),
    dnskey: Buffer.from(dnskey).toString("hex"),
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** A file name is made of the zone's name: nothing in it may lead elsewhere. */
const fileName = (zone: string): string =>
  `${zone.replace(/[^a-z0-9._-]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)}.json`;

const LOCK_EX = 2;

/**
 * Reads a zone's keys and lets `change` replace them, alone among all processes: the daemon and commands meet here.
 * `keys` is empty for a zone without a file. Throws with a sentence for a file that others may read, that is torn, or whose
 * keys nobody could validate, and for a folder that others may write to: they could put their keys there.
 */
export function withKeys(folder: string, zone: string, change: (keys: ZoneKey[]) => ZoneKey[] | null): ZoneKey[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if ((statSync(folder).mode & 0o022) !== 0) throw new Error(`others may write to ${folder}: chmod 700 it`);
  const path = join(folder, fileName(zone));
  const lock = openSync(`${path}.lock`, "a", 0o600);
  try {
    libc.flock(lock, LOCK_EX);
    const keys = readKeys(path);
    const next = change(keys);
    if (next === null) return keys;
    const file: KeyFile = { version: 1, zone, keys: next };
    replace(folder, path, `${JSON.stringify(file, null, 2)}\n`);
    return next;
  } finally {
    closeSync(lock);
  }
}

/** Whole or not at all, also when the power fails: a zone whose keys are lost is bogus until the parent has another DS. */
function replace(folder: string, path: string, text: string): void {
  const made = `${path}.new`;
  // What a daemon that died, or somebody else, left there has a mode and perhaps a target of its own.
  rmSync(made, { force: true });
  const file = openSync(made, "wx", 0o600);
  try {
    // All of it, or it throws: a full disk takes a part of one write.
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(made, path);
  const directory = openSync(folder, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Why nobody could validate what this key signs; null: all is well. */
function keyFault({ role, tag, dnskey, privateKey }: ZoneKey): string | null {
  const algorithm = Number.parseInt(dnskey.slice(6, 8), 16);
  if (algorithm !== ALGORITHM)
    return `is of algorithm ${algorithm}: zones are signed with ECDSA P-256 (${ALGORITHM}) here, and with nothing else`;
  const made = dnskeyOf(createPrivateKey(privateKey), role);
  const same = made !== null && Buffer.from(made).toString("hex") === dnskey && keyTag(made) === tag;
  return same ? null : `is another one than its private key says`;
}

function readKeys(path: string): ZoneKey[] {
  let text: string;
  try {
    if ((statSync(path).mode & 0o077) !== 0) throw new Error(`${path} may be read by others: chmod 600 it`);
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return [];
    throw error;
  }
  const file = JSON.parse(text) as KeyFile;
  if (file.version !== 1 || !Array.isArray(file.keys)) throw new Error(`${path} is no key file of this version`);
  for (const key of file.keys) {
    const fault = keyFault(key);
    if (fault !== null) throw new Error(`the ${key.role.toUpperCase()} ${key.tag} in ${path} ${fault}`);
  }
  for (const role of ["ksk", "zsk"])
    if (!file.keys.some((key) => key.role === role && key.state === "active"))
      throw new Error(`${path} has no ${role.toUpperCase()} that is active`);
  return file.keys;
}
