import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { type PeerName, peer } from "../../../src/lab/peers.ts";
import { freePort } from "../../lib/daemon.ts";

/** A name server of somebody else, on loopback, with one zone. */
export interface PeerServer {
  name: string;
  port: number;
  stop(): Promise<void>;
}

export interface Recipe {
  program: PeerName;
  /** Files of the folder, and the arguments. `root`: where the packages are unpacked. */
  make(folder: string, port: number, zone: string, root: string): { files: Record<string, string>; args: string[] };
}

const recipes: Record<string, Recipe> = {
  bind: {
    program: "named",
    make: (folder, port, zone) => ({
      files: {
        "named.conf": `options { directory "${folder}"; pid-file none; session-keyfile none; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
 recursion no; minimal-responses yes; notify no; allow-transfer { none; }; rrset-order { order none; }; dnssec-validation no; };
controls { };
zone "example.com" { type primary; file "${zone}"; check-names ignore; };
`,
      },
      args: ["-g", "-c", join(folder, "named.conf")],
    }),
  },
  nsd: {
    program: "nsd",
    make: (folder, port, zone) => ({
      files: {
        "nsd.conf": `server:
  ip-address: 127.0.0.1@${port}
  username: ""
  chroot: ""
  pidfile: ""
  xfrdfile: ""
  zonelistfile: "${folder}/zone.list"
  xfrdir: "${folder}"
  database: ""
  zonesdir: "${folder}"
  server-count: 1
  minimal-responses: yes
  rrl-ratelimit: 0
  round-robin: no
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: ${zone}
`,
      },
      args: ["-d", "-c", join(folder, "nsd.conf")],
    }),
  },
  knot: {
    program: "knotd",
    make: (folder, port, zone) => ({
      files: {
        "knot.conf": `server:
  listen: 127.0.0.1@${port}
  rundir: ${folder}
  user: root
database:
  storage: ${folder}
log:
  - target: stderr
    any: warning
zone:
  - domain: example.com
    file: ${zone}
    semantic-checks: off
`,
      },
      args: ["-c", join(folder, "knot.conf")],
    }),
  },
  powerdns: {
    program: "pdns_server",
    make: (folder, port, zone, root) => ({
      files: {
        "pdns.conf": `launch=bind
bind-config=${folder}/named.conf
local-address=127.0.0.1
local-port=${port}
socket-dir=${folder}
module-dir=${join(root, "usr/lib/x86_64-linux-gnu/pdns")}
daemon=no
guardian=no
disable-syslog=yes
setuid=root
setgid=root
cache-ttl=0
query-cache-ttl=0
dname-processing=yes
`,
        "named.conf": `zone "example.com" { type master; file "${zone}"; };\n`,
      },
      args: [`--config-dir=${folder}`],
    }),
  },
};

export const peerServers = Object.keys(recipes);

/** Starts one; throws with its words when it does not answer in ten seconds. */
export async function startPeerServer(name: string, folder: string, zone: string): Promise<PeerServer> {
  return startByRecipe(name, recipes[name]!, folder, zone);
}

/** As one of those, but otherwise set up. */
export async function startByRecipe(
  name: string,
  { program, make }: Recipe,
  folder: string,
  zone: string,
): Promise<PeerServer> {
  const found = await peer(program);
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  const port = freePort();
  const { files, args } = make(own, port, zone, found.folder);
  for (const [file, text] of Object.entries(files)) await Bun.write(join(own, file), text);
  const child: Subprocess = Bun.spawn([found.program, ...args], {
    env: { ...process.env, ...found.env },
    stdout: Bun.file(join(own, "log")),
    stderr: Bun.file(join(own, "log2")),
    cwd: own,
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await Promise.race([child.exited, Bun.sleep(3000)]);
    child.kill("SIGKILL");
  };
  return { name, port, stop };
}

/** What a server that does not start had to say. */
export const logOf = async (folder: string, name: string): Promise<string> =>
  (
    await Promise.all(
      ["log", "log2"].map((file) =>
        Bun.file(join(folder, name, file))
          .text()
          .catch(() => ""),
      ),
    )
  ).join("\n");
