import { join } from "node:path";
import type { Subprocess } from "bun";
import { peer } from "../../../src/lab/peers.ts";

/** A proxy in front of many backends: the case with number N is served at `address(N)`, port `port`. */
export interface Fronts {
  name: string;
  address(n: number): string;
  port: number;
  stop(): Promise<void>;
}

/** ms; longer than a test listens. */
const TIMEOUT = 20_000;

interface Recipe {
  /** The third octet of its addresses. */
  net: number;
  command(program: string, file: string): string[];
  config(folder: string, backends: readonly number[], at: (n: number) => string): string;
}

const recipes: Record<"nginx" | "haproxy", Recipe> = {
  // As its documentation writes a proxy with upgrades and kept connections; bodies and answers are passed as they come.
  nginx: {
    net: 1,
    command: (program, file) => [program, "-e", "stderr", "-c", file],
    config: (folder, backends, at) => `daemon off; user root; worker_processes 1; pid ${folder}/nginx.pid;
error_log stderr crit; events { worker_connections 4096; }
http { access_log off; server_tokens off;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off; proxy_next_upstream off;
proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
${backends
  .map(
    (port, n) => `upstream b${n} { server 127.0.0.1:${port}; keepalive 4; }
server { listen ${at(n)}; location / { proxy_pass http://b${n}; } }`,
  )
  .join("\n")} }`,
  },
  haproxy: {
    net: 2,
    command: (program, file) => [program, "-db", "-q", "-f", file],
    config: (_folder, backends, at) => `global
  nbthread 1
  no strict-limits
  maxconn 4000
defaults
  mode http
  http-reuse always
  retries 0
  timeout connect ${TIMEOUT}
  timeout client ${TIMEOUT}
  timeout server ${TIMEOUT}
${backends.map((port, n) => `listen c${n}\n  bind ${at(n)}\n  server b 127.0.0.1:${port}`).join("\n")}
`,
  },
};

export type PeerProxy = keyof typeof recipes;
export const peerProxies = Object.keys(recipes) as PeerProxy[];

async function open(address: string, port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: address, port, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}

/** Starts one before these backends; throws with its words when it does not serve in ten seconds. */
export async function startFronts(name: PeerProxy, folder: string, port: number, backends: number[]): Promise<Fronts> {
  const { net, command, config } = recipes[name];
  const { program, env } = await peer(name);
  const address = (n: number): string => `127.${77 + net}.${n >> 8}.${(n & 255) + 1}`;
  const file = join(folder, `${name}.conf`);
  await Bun.write(
    file,
    config(folder, backends, (n) => `${address(n)}:${port}`),
  );
  const log = join(folder, `${name}.log`);
  const child: Subprocess = Bun.spawn(command(program, file), {
    env: { ...process.env, ...env },
    stdout: Bun.file(log),
    stderr: Bun.file(`${log}2`),
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await Promise.race([child.exited, Bun.sleep(2000)]);
    child.kill("SIGKILL");
  };
  for (let i = 0; i < 100 && child.exitCode === null; i++) {
    if (await open(address(backends.length - 1), port)) return { name, address, port, stop };
    await Bun.sleep(100);
  }
  await stop();
  throw new Error(`${name} does not serve: ${await Bun.file(`${log}2`).text()}${await Bun.file(log).text()}`);
}
