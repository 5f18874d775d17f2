import { writeFileSync } from "node:fs";
import { Lab } from "../lab.ts";
import { peer, peerCommands } from "../peers.ts";
import { isAlive, type ProcessId, signal, waitGone } from "../processes.ts";
import { prepareRealServers, startDirector, startServers } from "../start.ts";
import { findTopology } from "../topologies/index.ts";
import { bareAddress } from "../topology.ts";
import { SMALL_BUFFERS } from "./downloads.ts";
import type { Scene } from "./scene.ts";
import { askingDaemon, type Stage, type Tried } from "./stage.ts";
import { watchLab } from "./watch.ts";

/** Runs the rest of its arguments with `$0` as the resolver's configuration, seen by nobody else. */
const WITH_RESOLVER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';

/** A closed connection leaves at once, so that the article's client port can be used again. */
const NO_LINGERING = "echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets";

/** GETs of `$2`, `$1` of them, one curl each: a client that knows no name yet. A lost one prints `!`. */
const ONE_BY_ONE = 'i=0; while [ $i -lt $1 ]; do curl -4sfL --max-time 3 "$2" || echo "!"; i=$((i+1)); done';

/** The method's lab of the article, its servers and real servers; Sluice on its director runs the scene. */
export async function createLabStage(scene: Scene, say: (text: string) => void): Promise<Stage> {
  const topology = findTopology(scene.method.name);
  if (!topology) throw new Error(`there is no lab for ${scene.method.name}`);
  say(`building the lab: ${topology.summary}`);
  const lab = await Lab.build(topology);
  try {
    return await furnish(lab, scene, say);
  } catch (error) {
    await lab.down();
    throw error;
  }
}

async function furnish(lab: Lab, scene: Scene, say: (text: string) => void): Promise<Stage> {
  const { topology, folder } = lab;
  const director = topology.hosts.find((h) => h.role === "director" && h.director && !h.director.standby)!.name;
  const client = topology.hosts.find((h) => h.role === "client")!.name;
  const backends = topology.hosts.filter((h) => h.role === "backend");
  await lab.shell(client, `${SMALL_BUFFERS}; ${NO_LINGERING}`);
  await startServers(lab);
  if (topology.hosts.some((h) => h.realServer)) {
    say("preparing the real servers: sluice realserver up");
    await prepareRealServers(lab);
  }
  const config = `${folder}/demo.yaml`;
  writeFileSync(config, scene.text);
  const resolver = `${folder}/resolv.conf`;
  writeFileSync(resolver, `nameserver ${scene.nameServer?.split(":")[0] ?? "127.0.0.1"}\n`);
  say(`starting Sluice on ${director}`);
  const { instance } = await startDirector(lab, director, config);
  const resolving = (command: readonly string[]): readonly string[] =>
    scene.nameServer ? ["unshare", "-m", "sh", "-c", WITH_RESOLVER, resolver, ...command] : command;
  const asClient: Stage["asClient"] = (command, timeout = 60_000) => lab.exec(client, resolving(command), { timeout });
  return {
    ...askingDaemon(instance),
    folder,
    director,
    client,
    servers: new Map(backends.map((h) => [bareAddress(h.interfaces[0]!.addresses[0]!), h.name])),
    asClient,
    startClient: (command) => lab.spawn(client, resolving(command)),
    async getMany(path, count) {
      const url = `${scene.origin}${path}`;
      const command = scene.nameServer
        ? ["sh", "-c", ONE_BY_ONE, "sh", String(count), url]
        : ["curl", "-sfL", "--max-time", "40", "-H", "Connection: close", `${url}?[1-${count}]`];
      const { stdout } = await asClient(command);
      const bodies = stdout.split("\n").filter((line) => line !== "");
      return Array.from({ length: count }, (_, i) => ((bodies[i] ?? "!") === "!" ? null : bodies[i]!));
    },
    urls: async (path, count) => Array(count).fill(`${scene.origin}${path}`),
    kill: (server) => killServer(lab, server),
    tries: () => tryAll(lab),
    watch: () => watchLab(lab),
    close: () => lab.down(),
  };
}

/** How long to wait for programs that must be fetched first, ms. */
const PATIENCE = 20_000;

/** The topology's own commands, one after the other. A program that cannot be had shows as exit code 127. */
async function tryAll(lab: Lab): Promise<Tried[]> {
  const { tries, peers = [] } = lab.topology;
  const fetched = Promise.allSettled(peers.map(peer));
  const enough = Promise.withResolvers<void>();
  const timer = setTimeout(enough.resolve, PATIENCE);
  await Promise.race([fetched, enough.promise]);
  clearTimeout(timer);
  const env = { PATH: `${process.env.PATH}:${peerCommands(peers)}` };
  const tried: Tried[] = [];
  for (const { host, command } of tries) {
    const { code, stdout, stderr } = await lab.exec(host, ["sh", "-c", command], { env, timeout: 10_000 });
    tried.push({
      host,
      command,
      code,
      output: [stderr, stdout]
        .map((text) => text.trim())
        .filter(Boolean)
        .join("\n"),
    });
  }
  return tried;
}

async function killServer(lab: Lab, host: string): Promise<number> {
  const server = lab.state.processes.find(
    (p) => p.host === host && isAlive(p) && p.command.some((word) => word.endsWith("/http-backend.ts")),
  );
  if (!server) throw new Error(`no HTTP server runs on ${host}`);
  return killNow(server);
}

/** SIGKILL; returns when, in ms since 1970, once it is gone. */
export async function killNow(victim: ProcessId): Promise<number> {
  const at = performance.timeOrigin + performance.now();
  signal(victim, "SIGKILL");
  await waitGone(victim, 2_000);
  return at;
}
