import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../runtime/child.ts";

/**
 * Other people's programs, for tests and benchmarks: Debian packages, unpacked into a cache beside the libraries that
 * the host lacks. Nothing is installed and nothing is started on the host.
 */
const table = {
  nginx: ["nginx", "usr/sbin/nginx"],
  haproxy: ["haproxy", "usr/sbin/haproxy"],
  vsftpd: ["vsftpd", "usr/sbin/vsftpd"],
  lftp: ["lftp", "usr/bin/lftp"],
  dig: ["bind9-dnsutils", "usr/bin/dig"],
  delv: ["bind9-dnsutils", "usr/bin/delv"],
  named: ["bind9", "usr/sbin/named"],
  unbound: ["unbound", "usr/sbin/unbound"],
  pdns_server: ["pdns-backend-bind", "usr/sbin/pdns_server"],
  promtool: ["prometheus", "usr/bin/promtool"],
  msmtpd: ["msmtp-mta", "usr/bin/msmtpd"],
  dnsmasq: ["dnsmasq-base", "usr/sbin/dnsmasq"],
  knotd: ["knot", "usr/sbin/knotd"],
  gdnsd: ["gdnsd", "usr/sbin/gdnsd"],
  nsd: ["nsd", "usr/sbin/nsd"],
  dnsperf: ["dnsperf", "usr/bin/dnsperf"],
  wrk: ["wrk", "usr/bin/wrk"],
  slowhttptest: ["slowhttptest", "usr/bin/slowhttptest"],
  ping: ["iputils-ping", "bin/ping"],
  kdig: ["knot-dnsutils", "usr/bin/kdig"],
  qemu: ["qemu-system-x86", "usr/bin/qemu-system-x86_64"],
  busybox: ["busybox-static", "bin/busybox"],
  // The package that names the newest kernel holds nothing else.
  linux: ["linux-image-amd64", "usr/share/doc/linux-image-amd64"],
  ipvsadm: ["ipvsadm", "sbin/ipvsadm"],
  iptables: ["iptables", "usr/sbin/xtables-legacy-multi"],
} as const satisfies Record<string, readonly [debianPackage: string, program: string]>;

export type PeerName = keyof typeof table;
const peerNames = Object.keys(table) as PeerName[];

export interface Peer {
  name: PeerName;
  /** Path of the program. */
  program: string;
  /** Folder with the unpacked packages; `/` when the host has it installed. */
  folder: string;
  /** What the program needs in its environment. */
  env: Record<string, string>;
  version: string;
}

export const cacheFolder = (): string =>
  join(process.env.SLUICE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sluice"), "peers");

/**
 * A folder for PATH in which every peer that is there can be called by its name, its environment set. Peers that the
 * host has installed are left out: they are found anyway.
 */
export function peerCommands(names: readonly PeerName[] = peerNames): string {
  const folder = join(cacheFolder(), "bin");
  mkdirSync(folder, { recursive: true });
  for (const name of names) {
    const found = cached(name);
    if (!found || found.folder === "/") continue;
    const settings = Object.entries(found.env).map(([key, value]) => `${key}='${value}' `);
    const script = `#!/bin/sh\n${settings.join("")}exec '${found.program}' "$@"\n`;
    const file = join(folder, name);
    if (existsSync(file) && readFileSync(file, "utf8") === script) continue;
    // By a new name and a rename: another process may be running the old one just now.
    writeFileSync(`${file}.${process.pid}`, script, { mode: 0o755 });
    renameSync(`${file}.${process.pid}`, file);
  }
  return folder;
}

/** Documentation, fonts and scripts for browsers: no program here needs them to run. */
const idle = /^(fonts-|libjs-)|-doc$/;

const UNPACK = `set -e
folder=$1; shift
[ -d "$folder" ] && exit 0
work="$folder.$$"
mkdir -p "$work/archives" "$work/root"
cd "$work/archives"
apt-get -q -o APT::Sandbox::User=root download "$@" >&2
for archive in *.deb; do dpkg-deb -x "$archive" "$work/root"; done
mv "$work/root" "$folder"
rm -r "$work"`;

/**
 * The program of that name, fetched when the cache does not hold it. Safe to call from several processes at once.
 * Throws with apt's words when it cannot be had (no network, no Debian).
 */
export async function peer(name: PeerName): Promise<Peer> {
  return cached(name) ?? (await fetchPeer(name));
}

/** What the cache or the host holds already; null when it would have to be fetched. */
export function cached(name: PeerName): Peer | null {
  const [, program] = table[name];
  const cache = cacheFolder();
  const folder = existsSync(cache)
    ? readdirSync(cache).find((entry) => entry.startsWith(`${name}-`) && existsSync(join(cache, entry, program)))
    : undefined;
  if (folder) return unpacked(name, join(cache, folder));
  if (existsSync(join("/", program))) return unpacked(name, "/");
  return null;
}

function unpacked(name: PeerName, folder: string): Peer {
  const libraries = ["usr/lib", "lib"].flatMap((lib) => {
    const base = join(folder, lib);
    if (folder === "/" || !existsSync(base)) return [];
    return [base, ...readdirSync(base).map((entry) => join(base, entry))].filter((path) => path.includes("-linux-gnu"));
  });
  return {
    name,
    program: join(folder, table[name][1]),
    folder,
    env: libraries.length > 0 ? { LD_LIBRARY_PATH: libraries.join(":") } : {},
    version: folder === "/" ? "installed" : folder.slice(folder.lastIndexOf(`/${name}-`) + name.length + 2),
  };
}

async function fetchPeer(name: PeerName): Promise<Peer> {
  let failure = await tryFetch(name);
  if (failure !== null) {
    // The lists may be missing, or name versions that the archive has replaced.
    await run(["apt-get", "-q", "update"], { timeout: 120_000 });
    failure = await tryFetch(name);
  }
  const found = cached(name);
  if (!found) throw new Error(`peer ${name} cannot be had: ${failure ?? "its package lacks the program"}`);
  return found;
}

/** Null, or what went wrong. */
async function tryFetch(name: PeerName): Promise<string | null> {
  const plan = await run(["apt-get", "-s", "install", "--no-install-recommends", table[name][0]]);
  if (plan.code !== 0) return plan.stderr.trim();
  // `Inst NAME (VERSION …`; a package that would only be renewed is there already.
  const packages = [...plan.stdout.matchAll(/^Inst (\S+) \((\S+) /gm)].filter(([, pkg]) => !idle.test(pkg!));
  const own = packages.find(([, pkg]) => pkg === table[name][0]);
  if (!own) return `package ${table[name][0]} is not offered`;
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  const folder = join(cache, `${name}-${own[2]!.replaceAll(/[:~+/]/g, "_")}`);
  const wanted = packages.map(([, pkg, version]) => `${pkg}=${version}`);
  const lock = join(cache, `.${name}.lock`);
  const result = await run(["flock", lock, "sh", "-c", UNPACK, "sh", folder, ...wanted], { timeout: 180_000 });
  return result.code === 0 ? null : result.stderr.trim();
}
