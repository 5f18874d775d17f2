import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { Method } from "../../core/method.ts";
import { run } from "../../runtime/child.ts";
import { sleep } from "../../runtime/clock.ts";
import { instancePaths } from "../../system/instance.ts";
import { sluiceCommand } from "../paths.ts";
import { identify, isAlive, type ProcessId, signal, waitGone } from "../processes.ts";
import { get } from "../programs/http-get.ts";
import { createResolver } from "../programs/resolve.ts";
import { programCommand } from "../start.ts";
import { killNow } from "./lab-stage.ts";
import { exampleOf, type Scene, sharpen, toScene } from "./scene.ts";
import { type Actor, askingDaemon, type Stage } from "./stage.ts";

/** A TCP port of 127.0.0.1 that is free now. */
function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer().on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number };
    server.close(() => resolve(port));
  });
  return promise;
}

/** Servers stand at 127.0.0.11, .12 …, all on one port, as the addresses of one name must. */
const serverAddress = (index: number): string => `127.0.0.${11 + index}`;

interface Written {
  services: Record<string, { listen?: string[]; backends: { address: string }[] }>;
  dns?: { listen: string[] };
}

/** A method's example, its addresses moved to loopback and its ports to free ones. */
export async function loopbackScene(method: Method): Promise<Scene> {
  const written = parse(sharpen(exampleOf(method.name))) as Written;
  const [front, back] = [await freePort(), await freePort()];
  for (const service of Object.values(written.services)) {
    if (service.listen) service.listen = [`127.0.0.1:${front}`];
    for (const [i, backend] of service.backends.entries()) backend.address = `${serverAddress(i)}:${back}`;
  }
  if (written.dns) written.dns.listen = [`127.0.0.1:${front}`];
  return toScene(method, stringify(written, { lineWidth: 0 }));
}

const START = 'out=$1 err=$2; shift 2; "$@" >"$out" 2>"$err" </dev/null & echo $!';

/** The method on this host's loopback: for hosts where no namespaces may be made. Nothing is captured. */
export async function createLoopbackStage(scene: Scene, say: (text: string) => void): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-demo-"));
  const started: ProcessId[] = [];
  const instance = `demo-${scene.method.name}-${process.pid}`;
  const start = async (command: readonly string[]): Promise<ProcessId & Actor> => {
    const stem = join(folder, `${started.length}`);
    const { stdout, stderr } = await run(["sh", "-c", START, "sh", `${stem}.out`, `${stem}.err`, ...command]);
    const id = identify(Number(stdout.trim()));
    if (!id) throw new Error(`cannot start ${command.join(" ")}: ${stderr || read(`${stem}.err`)}`);
    started.push(id);
    return { ...id, ...actor(id, stem) };
  };
  const close = async (): Promise<void> => {
    for (const id of started.toReversed()) {
      signal(id, "SIGTERM");
      if (!(await waitGone(id, 5_000))) signal(id, "SIGKILL");
    }
    for (const path of [folder, instancePaths(instance).runDir]) rmSync(path, { recursive: true, force: true });
  };
  try {
    say("starting servers on loopback");
    const { backends } = scene.service;
    const servers = await Promise.all(
      backends.map(({ address, port }, i) =>
        start(
          programCommand(
            ...(["http-backend", "--name", `backend${i + 1}`, "--address", address, "--port", `${port}`] as const),
            ...["--log", join(folder, `backend${i + 1}.log`)],
          ),
        ),
      ),
    );
    await Promise.all(servers.map((server) => server.says("ready:")));
    say("starting Sluice");
    const config = join(folder, "demo.yaml");
    writeFileSync(config, scene.text);
    const daemon = await start([sluiceCommand, "run", "-c", config, "--instance", instance]);
    await daemon.says(/^sluice: serving/m, 20_000);
    return { ...loopbackStage(scene, folder, instance, servers, start), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function loopbackStage(
  scene: Scene,
  folder: string,
  instance: string,
  servers: readonly ProcessId[],
  start: (command: readonly string[]) => Promise<Actor>,
): Omit<Stage, "close"> {
  const { backends } = scene.service;
  // A name is resolved by our own client, since this host's resolver knows nothing of it; one that is asked anew.
  const url = new URL(scene.origin);
  const resolve = () => createResolver(scene.nameServer!, 2_000)(url.hostname);
  const fresh = async (path: string): Promise<string | null> => {
    const address = await resolve();
    return (await get({ address, port: Number(url.port || 80), host: url.host, path, timeout: 2_000 })).backend;
  };
  return {
    ...askingDaemon(instance),
    folder,
    director: "sluice",
    client: "client",
    servers: new Map(backends.map(({ address }, i) => [address, `backend${i + 1}`])),
    asClient: (command, timeout = 60_000) => run(command, { timeout }),
    async startClient(command) {
      return start(command);
    },
    async getMany(path, count) {
      if (scene.nameServer) {
        const replies: (string | null)[] = [];
        for (let i = 0; i < count; i++) replies.push(await fresh(path).catch(() => null));
        return replies;
      }
      const all = `${scene.origin}${path}?[1-${count}]`;
      const { stdout } = await run(["curl", "-sfL", "--max-time", "40", "-H", "Connection: close", all]);
      const bodies = stdout.split("\n").filter((line) => line !== "");
      return Array.from({ length: count }, (_, i) => bodies[i] ?? null);
    },
    async urls(path, count) {
      if (!scene.nameServer) return Array(count).fill(`${scene.origin}${path}`);
      return Promise.all(Array.from({ length: count }, async () => `http://${await resolve()}:${url.port}${path}`));
    },
    kill: (server) => killNow(servers[Number(server.slice("backend".length)) - 1]!),
    tries: async () => [],
    watch: null,
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function actor(id: ProcessId, stem: string): Actor {
  const [stdout, stderr] = [() => read(`${stem}.out`), () => read(`${stem}.err`)];
  const found = (text: string | RegExp) => [stdout(), stderr()].some((output) => output.search(text) >= 0);
  return {
    stdout,
    stderr,
    alive: () => isAlive(id),
    gone: (timeout = 10_000) => waitGone(id, timeout),
    async stop(grace = 5_000) {
      signal(id, "SIGTERM");
      if (!(await waitGone(id, grace))) signal(id, "SIGKILL");
    },
    async says(text, timeout = 10_000) {
      for (const end = performance.now() + timeout; !found(text); await sleep(10))
        if (!isAlive(id) || performance.now() > end) throw new Error(`no "${text}" in:\n${stdout()}\n${stderr()}`);
    },
  };
}
