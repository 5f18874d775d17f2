import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type PeerName, peer } from "../../src/lab/peers.ts";
import { type Pinned, SERVER_CORE, startPinned } from "./pinned.ts";
import { type Server, startSluice, toServer } from "./servers.ts";
import type { Stand } from "./stand.ts";

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
async function untilAnswers(stand: Stand, port: number, program: Pinned): Promise<void> {
  const query = Buffer.from("00010000000100000000000007657861" + "6d706c6503636f6d0000060001", "hex");
  let answered = false;
  const data = (): void => {
    answered = true;
  };
  const socket = await stand.fromLoad(() =>
    Bun.udpSocket({ connect: { hostname: stand.address, port }, socket: { data, error() {} } }),
  );
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

async function startPeer(
  stand: Stand,
  name: PeerName,
  label: string,
  args: readonly string[],
  port: number,
): Promise<Server> {
  const { program: command, env, version } = await peer(name);
  const program = startPinned(SERVER_CORE, stand.atServer(command, ...args), env);
  await untilAnswers(stand, port, program);
  return toServer({ name: label, version, port, program });
}

async function startGdnsd(stand: Stand, folder: string, names: readonly string[]): Promise<Server> {
  const port = stand.port();
  const own = join(folder, `gdnsd-${port}`);
  mkdirSync(join(own, "run"), { recursive: true });
  mkdirSync(join(own, "state"));
  await Bun.write(join(own, "zones", ZONE), zoneFile(names));
  await Bun.write(
    join(own, "config"),
    `options => { listen => ${stand.address}:${port}, run_dir => ${own}/run, state_dir => ${own}/state, udp_threads => 1, tcp_threads => 1 }\n`,
  );
  return startPeer(stand, "gdnsd", "gdnsd", ["-c", own, "start"], port);
}

async function startKnot(stand: Stand, folder: string, names: readonly string[]): Promise<Server> {
  const port = stand.port();
  const own = join(folder, `knot-${port}`);
  mkdirSync(own);
  await Bun.write(join(own, "zone"), zoneFile(names));
  await Bun.write(
    join(own, "knot.conf"),
    `server:
  rundir: ${own}
  listen: ${stand.address}@${port}
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
  return startPeer(stand, "knotd", "knot", ["-c", join(own, "knot.conf")], port);
}

/** NSD with its rate limit off. */
async function startNsd(stand: Stand, folder: string, names: readonly string[]): Promise<Server> {
  const port = stand.port();
  const own = join(folder, `nsd-${port}`);
  mkdirSync(own);
  await Bun.write(join(own, "zone"), zoneFile(names));
  await Bun.write(
    join(own, "nsd.conf"),
    `server:
  server-count: 1
  ip-address: ${stand.address}@${port}
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
  return startPeer(stand, "nsd", "nsd", ["-d", "-c", join(own, "nsd.conf")], port);
}

/** Services that Sluice is given at most; more names than that are shared out among them. */
const MOST_SERVICES = 5000;

/** Sluice answers the names by a service each, as a real configuration would, or of very many some by one. */
async function startSluiceDns(stand: Stand, folder: string, names: readonly string[]): Promise<Server> {
  const port = stand.port();
  const each = Math.ceil(names.length / MOST_SERVICES);
  const services = Object.fromEntries(
    Array.from({ length: Math.ceil(names.length / each) }, (_, i) => [
      `s${i}`,
      {
        method: "dns",
        names: names.slice(i * each, (i + 1) * each).map((name) => `${name}.${ZONE}`),
        backends: ADDRESSES.map((address) => `${address}:80`),
        check: "none",
      },
    ]),
  );
  // gdnsd looks at client subnets too, and says for whom its answer holds.
  const dns = { listen: [`${stand.address}:${port}`], zones: [ZONE], xdp: stand.xdp, clientSubnet: true };
  const server = await startSluice(folder, port, { services, dns }, stand.atServer);
  await stand.untilReady();
  return { ...server, cpu: () => server.cpu() + stand.programCpu() };
}

/** All name servers with the same zone, Sluice first. */
export async function startNameServers(stand: Stand, folder: string, names: readonly string[]): Promise<Server[]> {
  const started: Server[] = [];
  try {
    for (const start of [startSluiceDns, startGdnsd, startKnot, startNsd])
      started.push(await start(stand, folder, names));
    return started;
  } catch (error) {
    for (const server of started) await server.stop();
    throw error;
  }
}
