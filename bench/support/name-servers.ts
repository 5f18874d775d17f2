import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type PeerName, peer } from "../../src/lab/peers.ts";
import { freePort, type Pinned, SERVER_CORE, startPinned } from "./pinned.ts";
import { type Server, startSluice, toServer } from "./servers.ts";

export const ZONE = "example.com";
/** The addresses of every name, everywhere. */
export const ADDRESSES = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];

const zoneFile = (names: readonly string[]): string =>
  [
    "$TTL 30",
    `@ IN SOA ns.${ZONE}. hostmaster.${ZONE}. 1 3600 600 1209600 30`,
    `@ IN NS ns.${ZONE}.`,
    "ns IN A 127.0.0.1",
    ...names.flatMap((name) => ADDRESSES.map((address) => `${name} IN A ${address}`)),
    "",
  ].join("\n");

/** Waits until the server answers a query over UDP. */
async function untilAnswers(port: number, program: Pinned): Promise<void> {
  const query = Buffer.from("00010000000100000000000007657861" + "6d706c6503636f6d0000060001", "hex");
  let answered = false;
  const data = (): void => {
    answered = true;
  };
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: { data, error() {} },
  });
  try {
    for (let i = 0; i < 100 && !answered; i++) {
      socket.send(query);
      await Bun.sleep(100);
    }
  } finally {
    socket.close();
  }
  if (!answered) throw new Error(`no answer on port ${port}: ${program.said().slice(-2000)}`);
}

async function startPeer(name: PeerName, label: string, args: readonly string[], port: number): Promise<Server> {
  const { program: command, env, version } = await peer(name);
  const program = startPinned(SERVER_CORE, [command, ...args], env);
  await untilAnswers(port, program);
  return toServer({ name: label, version, port, program });
}

async function startGdnsd(folder: string, names: readonly string[]): Promise<Server> {
  const port = freePort();
  const own = join(folder, `gdnsd-${port}`);
  mkdirSync(join(own, "run"), { recursive: true });
  mkdirSync(join(own, "state"));
  await Bun.write(join(own, "zones", ZONE), zoneFile(names));
  await Bun.write(
    join(own, "config"),
    `options => { listen => 127.0.0.1:${port}, run_dir => ${own}/run, state_dir => ${own}/state, udp_threads => 1, tcp_threads => 1 }\n`,
  );
  return startPeer("gdnsd", "gdnsd", ["-c", own, "start"], port);
}

async function startKnot(folder: string, names: readonly string[]): Promise<Server> {
  const port = freePort();
  const own = join(folder, `knot-${port}`);
  mkdirSync(own);
  await Bun.write(join(own, "zone"), zoneFile(names));
  await Bun.write(
    join(own, "knot.conf"),
    `server:
  rundir: ${own}
  listen: 127.0.0.1@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: ${own}
zone:
  - domain: ${ZONE}
    file: ${own}/zone
    zonefile-sync: -1
`,
  );
  return startPeer("knotd", "knot", ["-c", join(own, "knot.conf")], port);
}

/** NSD with its rate limit off. */
async function startNsd(folder: string, names: readonly string[]): Promise<Server> {
  const port = freePort();
  const own = join(folder, `nsd-${port}`);
  mkdirSync(own);
  await Bun.write(join(own, "zone"), zoneFile(names));
  await Bun.write(
    join(own, "nsd.conf"),
    `server:
  server-count: 1
  ip-address: 127.0.0.1@${port}
  username: ""
  chroot: ""
  zonesdir: "${own}"
  database: ""
  logfile: "${own}/log"
  pidfile: "${own}/pid"
  xfrdfile: "${own}/xfrd.state"
  zonelistfile: "${own}/zone.list"
  xfrdir: "${own}"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: ${ZONE}
  zonefile: ${own}/zone
`,
  );
  return startPeer("nsd", "nsd", ["-d", "-c", join(own, "nsd.conf")], port);
}

/** Sluice answers the names by a service each: what a real configuration would have. */
async function startSluiceDns(folder: string, names: readonly string[]): Promise<Server> {
  const port = freePort();
  const services = Object.fromEntries(
    names.map((name) => [
      name,
      {
        method: "dns",
        names: [`${name}.${ZONE}`],
        backends: ADDRESSES.map((address) => `${address}:80`),
        check: "none",
      },
    ]),
  );
  const dns = { listen: [`127.0.0.1:${port}`], zones: [ZONE] };
  return startSluice(folder, port, { services, dns });
}

/** All name servers with the same zone, Sluice first. */
export async function startNameServers(folder: string, names: readonly string[]): Promise<Server[]> {
  const started: Server[] = [];
  try {
    for (const start of [startSluiceDns, startGdnsd, startKnot, startNsd]) started.push(await start(folder, names));
    return started;
  } catch (error) {
    for (const server of started) await server.stop();
    throw error;
  }
}
