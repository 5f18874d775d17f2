import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Lab } from "../../src/lab/lab.ts";
import { type Peer, type PeerName, peer } from "../../src/lab/peers.ts";
import { eventually, startSluice, withLab } from "../lib/lab.ts";
import { noLab } from "../lib/skip.ts";
import { untilEligible } from "../lib/status.ts";

/** The article: NAT also carries FTP, SMTP and DNS. Servers and clients are Debian's. */
const VIP = "125.12.12.12";
const wanted = ["vsftpd", "lftp", "msmtpd", "dnsmasq", "dig"] as const satisfies readonly PeerName[];

const peers = new Map<PeerName, Peer>();
if (!noLab)
  for (const name of wanted)
    await peer(name).then(
      (found) => peers.set(name, found),
      (error) => console.error(`skipped: ${error.message}`),
    );
const skipWithout = (...names: PeerName[]) => test.skipIf(!names.every((name) => peers.has(name)));

const config = `version: 1
services:
  ftp:
    method: nat
    listen: [${VIP}:21]
    backends: [10.0.1.210:21]
    nat: { engine: nftables, helper: ftp }
    check: { tcp: true, interval: 500ms, timeout: 400ms, rise: 1 }
  smtp:
    method: nat
    listen: [${VIP}:25]
    backends: [10.0.1.210:2525, 10.0.1.211:2525]
    nat: { engine: nftables }
    check: { tcp: true, interval: 500ms, timeout: 400ms, rise: 1 }
  names:
    method: nat
    listen: [${VIP}:53, ${VIP}:53/udp]
    backends: [10.0.1.210:53, 10.0.1.211:53]
    nat: { engine: nftables }
    check: { tcp: true, interval: 500ms, timeout: 400ms, rise: 1 }
`;

async function start(lab: Lab, host: string, name: PeerName, ...args: string[]) {
  const { program, env } = peers.get(name)!;
  return lab.spawn(host, [program, ...args], { env });
}

/** An anonymous FTP server with one file to fetch and a folder to put into. */
async function startFtp(lab: Lab): Promise<string> {
  const root = `${lab.folder}/ftp`;
  // An account whose home is there: vsftpd enters it before it enters its root.
  const daemon = 1;
  for (const folder of [root, `${root}/in`, `${lab.folder}/empty`]) mkdirSync(folder, { recursive: true });
  chownSync(`${root}/in`, daemon, daemon);
  chmodSync(lab.folder, 0o755);
  writeFileSync(`${root}/file`, "a".repeat(300_000));
  const settings = {
    ...{ listen: "YES", background: "NO", anonymous_enable: "YES", no_anon_password: "YES", ftp_username: "daemon" },
    ...{ anon_root: root, nopriv_user: "nobody", secure_chroot_dir: `${lab.folder}/empty`, seccomp_sandbox: "NO" },
    ...{ isolate: "NO", isolate_network: "NO", write_enable: "YES", anon_upload_enable: "YES", anon_umask: "022" },
    ...{ port_enable: "YES", pasv_enable: "YES", connect_from_port_20: "YES", use_localtime: "NO" },
  };
  const file = `${lab.folder}/vsftpd.conf`;
  writeFileSync(
    file,
    Object.entries(settings)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(""),
  );
  await start(lab, "backend1", "vsftpd", file);
  return root;
}

/** What each service's backends are called in status. */
const backendsOf = {
  ftp: ["10.0.1.210:21"],
  smtp: ["10.0.1.210:2525", "10.0.1.211:2525"],
  names: ["10.0.1.210:53", "10.0.1.211:53"],
};

const withDaemon = (
  service: keyof typeof backendsOf,
  prepare: (lab: Lab) => Promise<void>,
  use: (lab: Lab) => Promise<void>,
): Promise<void> =>
  withLab(
    "nat",
    async (lab) => {
      await prepare(lab);
      const daemon = await startSluice(lab, "director", config);
      await untilEligible(lab, daemon, service, backendsOf[service]);
      await use(lab);
    },
    { servers: false },
  );

describe("through nat", () => {
  skipWithout("vsftpd", "lftp")("FTP, passive and active, both ways, from two clients", async () => {
    let root = "";
    const prepare = async (lab: Lab) => {
      root = await startFtp(lab);
    };
    await withDaemon("ftp", prepare, async (lab) => {
      const inside = await lab.capture("backend1", "tcp");
      const modes = { passive: "--disable-epsv", extended: "", active: "--disable-eprt -P -", both: "-P -" };
      for (const [mode, words] of Object.entries(modes)) {
        const fetch = `curl -sS --max-time 10 ${words} ftp://${VIP}/file | wc -c`;
        expect([mode, await lab.shell("client", fetch)]).toEqual([mode, "300000"]);
      }
      const { program, env } = peers.get("lftp")!;
      for (const passive of ["on", "off"]) {
        const name = `from-client-${passive}`;
        writeFileSync(`${lab.folder}/${name}`, "b".repeat(100_000));
        const script = `set net:max-retries 1; set net:timeout 5; set ftp:passive-mode ${passive}; open ${VIP}; cd in; put ${lab.folder}/${name}; bye`;
        const { code, stderr } = await lab.exec("client", [program, "-c", script], { env });
        expect([passive, code, stderr]).toEqual([passive, 0, ""]);
        expect(readFileSync(`${root}/in/${name}`).length).toBe(100_000);
      }
      // The backend saw the client's own address, and opened active connections from its port 20.
      const packets = await inside.stop();
      const active = packets.filter((p) => p.ip?.tcp?.flags.join() === "SYN" && p.ip.tcp.sourcePort === 20);
      expect(active.length).toBeGreaterThanOrEqual(3);
      expect(new Set(active.map((p) => p.ip!.destination))).toEqual(new Set(["202.20.20.20"]));
    });
  });

  skipWithout("msmtpd")("SMTP: mails arrive at the servers behind", async () => {
    const prepare = async (lab: Lab) => {
      mkdirSync(`${lab.folder}/mail`, { recursive: true });
      for (const host of ["backend1", "backend2"]) {
        // The server asks for its client's name first; with no way to a name server that fails at once.
        await lab.shell(host, "ip route replace 202.20.20.0/24 via 10.0.1.50 && ip route del default");
        const deliver = `cat > ${lab.folder}/mail/${host}-$$; true`;
        await start(lab, host, "msmtpd", "--interface=0.0.0.0", "--port=2525", `--command=sh -c '${deliver}' %F`);
      }
    };
    await withDaemon("smtp", prepare, async (lab) => {
      writeFileSync(`${lab.folder}/letter`, "Subject: through nat\r\n\r\nHello.\r\n");
      const send = `curl -sS --max-time 10 smtp://${VIP} --mail-from a@example.com --mail-rcpt b@example.com -T ${lab.folder}/letter`;
      for (let i = 0; i < 12; i++) await lab.shell("client", send);
      const folder = `${lab.folder}/mail`;
      await eventually("twelve letters", () => readdirSync(folder).length === 12);
      const mails = readdirSync(folder);
      expect(mails.every((mail) => readFileSync(`${folder}/${mail}`, "utf8").includes("through nat"))).toBe(true);
    });
  });

  skipWithout("dnsmasq", "dig")("DNS, over UDP and TCP", async () => {
    const prepare = async (lab: Lab) => {
      for (const host of ["backend1", "backend2"]) {
        const answers = ["--address=/name.test/192.0.2.7", `--txt-record=who.test,${host}`];
        const alone = ["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=root"];
        await start(lab, host, "dnsmasq", ...alone, ...answers, `--pid-file=${lab.folder}/${host}.pid`);
      }
    };
    await withDaemon("names", prepare, async (lab) => {
      const { program, env } = peers.get("dig")!;
      for (const words of [["+notcp"], ["+tcp"]]) {
        const command = [program, `@${VIP}`, "+short", "+time=3", "+tries=1", ...words, "name.test"];
        expect((await lab.exec("client", command, { env })).stdout).toBe("192.0.2.7\n");
      }
      const who = new Set<string>();
      for (let i = 0; i < 20; i++) {
        const command = [program, `@${VIP}`, "+short", "who.test", "TXT"];
        who.add((await lab.exec("client", command, { env })).stdout.trim());
      }
      expect([...who].sort()).toEqual(['"backend1"', '"backend2"']);
    });
  });
});
