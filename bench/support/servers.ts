import { join } from "node:path";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { peer } from "../../src/lab/peers.ts";
import { livingWorkers } from "../../src/supervisor/orphans.ts";
import { instancePaths } from "../../src/system/instance.ts";
import {
  cpuOf,
  FILES,
  family,
  freePort,
  LOAD_CORE,
  memoryOf,
  type Pinned,
  SERVER_CORE,
  startPinned,
  untilOpen,
} from "./pinned.ts";

/** A server to be measured. */
export interface Server {
  name: string;
  version: string;
  port: number;
  /** Processes that serve. */
  serving(): number[];
  /** CPU of what serves, microseconds. */
  cpu(): number;
  /** CPU of all else that belongs to it (Sluice: the daemon, its checker), microseconds. */
  otherCpu(): number;
  /** Memory of what serves, bytes. */
  memory(): number;
  stop(): Promise<void>;
}

interface Parts {
  name: string;
  version: string;
  port: number;
  program: Pinned;
  /** Does this process of the family serve? All do by default. */
  serves?: (pid: number) => boolean;
}

/** A server out of a program that runs. Its processes are looked up at each reading: some start theirs late. */
export function toServer({ name, version, port, program, serves = () => true }: Parts): Server {
  const serving = (): number[] => family(program.pid).filter(serves);
  return {
    name,
    version,
    port,
    serving,
    cpu: () => cpuOf(serving()),
    otherCpu: () => cpuOf(family(program.pid).filter((pid) => !serves(pid))),
    memory: () => memoryOf(serving()),
    stop: program.stop,
  };
}

let instances = 0;

/** Octets of a configuration that is still written out; what is longer lies beside code that reads it. */
const MOST_WRITTEN = 1 << 20;

/** Sluice with one worker, with this configuration (services, settings) on a port. `at`: what stands before its command. */
export async function startSluice(
  folder: string,
  port: number,
  config: object,
  at: (...command: string[]) => string[] = (...command) => command,
): Promise<Server> {
  const instance = `bench-${process.pid}-${++instances}`;
  const text = JSON.stringify({ version: 1, workers: 1, log: { level: "error" }, ...config });
  const long = text.length > MOST_WRITTEN;
  const file = join(folder, `${instance}.${long ? "config.ts" : "yaml"}`);
  if (long) await Bun.write(join(folder, `${instance}.json`), text);
  await Bun.write(file, long ? `export { default } from "./${instance}.json";` : text);
  const program = startPinned(SERVER_CORE, at(sluiceCommand, "run", "-c", file, "--instance", instance));
  for (let i = 0; i < 400 && !program.said().includes("sluice: serving"); i++) await Bun.sleep(50);
  if (!program.said().includes("sluice: serving")) throw new Error(`the daemon does not serve: ${program.said()}`);
  // The spare beside the worker does not serve.
  const serves = (pid: number): boolean => livingWorkers(instancePaths(instance)).some((worker) => worker.pid === pid);
  return toServer({ name: "sluice", version: "", port, program, serves });
}

/** nginx with one worker; `http`: what stands in its http block. `core`: the backend runs beside the load. */
export async function startNginx(folder: string, http: (port: number) => string, core = SERVER_CORE): Promise<Server> {
  const { program: command, env, version } = await peer("nginx");
  const port = freePort();
  const file = join(folder, `nginx-${port}.conf`);
  const own = join(folder, `nginx-${port}`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${own}-${name};`,
  );
  await Bun.write(
    file,
    `daemon off; user root; worker_processes 1; pid ${own}.pid; error_log stderr error;
events { worker_connections ${FILES}; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; ${temporary.join(" ")}
${http(port)} }`,
  );
  const program = startPinned(core, [command, "-e", "stderr", "-c", file], env);
  await untilOpen(port, program);
  return toServer({ name: "nginx", version, port, program });
}

/** HAProxy with one thread. `proxy`: what stands behind its global section. */
export async function startHaproxy(folder: string, proxy: (port: number) => string): Promise<Server> {
  const { program: command, env, version } = await peer("haproxy");
  const port = freePort();
  const file = join(folder, `haproxy-${port}.cfg`);
  await Bun.write(
    file,
    `global
  nbthread 1
  no strict-limits
  maxconn ${Math.floor(FILES / 2)}
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
${proxy(port)}
`,
  );
  const program = startPinned(SERVER_CORE, [command, "-db", "-f", file], env);
  await untilOpen(port, program);
  return toServer({ name: "haproxy", version, port, program });
}

const SMALL = 64;
const KIB = 1024;

/**
 * The backend of all: an nginx beside the load. `/64`, `/16k`, `/1m`, `/16m`: that many bytes; `/post` takes any body and
 * answers at once, `/post-whole` when it has read it (nginx as a proxy breaks off when the answer comes first).
 */
export async function startBackend(folder: string, address = "127.0.0.1"): Promise<Server> {
  for (const [name, size] of [
    ["16k", 16 * KIB],
    ["1m", KIB * KIB],
    ["16m", 16 * KIB * KIB],
  ] as const)
    await Bun.write(join(folder, "www", name), Buffer.alloc(size, 120));
  return startNginx(
    folder,
    (port) => `sendfile on; client_max_body_size 0; client_body_buffer_size 64k; open_file_cache max=16;
upstream itself { server 127.0.0.1:${port}; keepalive 64; keepalive_requests 1000000000; }
server { listen ${address}:${port} backlog=4096; root ${folder}/www;
location = /post-whole { client_body_buffer_size 2m; proxy_pass http://itself/post; proxy_pass_request_body off;
proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Content-Length ""; }
location = /64 { return 200 "${"x".repeat(SMALL)}"; } location = /post { return 200 "ok"; }
location /route/ { return 200 "${"x".repeat(SMALL)}"; } }`,
    LOAD_CORE,
  );
}
