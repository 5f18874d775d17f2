import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../../src/lab/peers.ts";
import { freePort, LOAD_CORE, runPinned, SERVER_CORE, startPinned, untilOpen } from "./pinned.ts";
import { type Server, toServer } from "./servers.ts";

/** Proxies for Node, for the record: pinned, and started by the machine's node. */
const pinned = { httpxy: "0.5.6", "fast-proxy": "2.2.0" } as const;
type NodeProxy = keyof typeof pinned;
export const nodeProxies = Object.keys(pinned) as NodeProxy[];

/** What each needs to pass everything on to `target`, with kept connections and X-Forwarded-For. */
const programs: Record<NodeProxy, (target: string, port: number) => string> = {
  httpxy: (target, port) => `
import http from "node:http";
import { createProxyServer } from "httpxy";
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256 });
const proxy = createProxyServer({ target: "http://${target}", agent, xfwd: true });
const failed = (response) => (error) => { console.error(error); response.destroy(); };
const server = http.createServer((request, response) => void proxy.web(request, response).catch(failed(response)));
server.keepAliveTimeout = 600_000;
server.listen(${port}, "127.0.0.1", 4096);`,
  "fast-proxy": (target, port) => `
import http from "node:http";
import fastProxy from "fast-proxy";
const { proxy } = fastProxy({ base: "http://${target}", undici: false, http: { agents: { "http:": new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256 }) } } });
const server = http.createServer((request, response) => {
  const rewriteRequestHeaders = (_request, headers) => ({ ...headers, "x-forwarded-for": request.socket.remoteAddress });
  proxy(request, response, request.url, { rewriteRequestHeaders });
});
server.keepAliveTimeout = 600_000;
server.listen(${port}, "127.0.0.1", 4096);`,
};

/** The folder with the package, fetched with npm when the cache does not hold it. */
async function unpacked(name: NodeProxy): Promise<string> {
  const folder = join(cacheFolder(), `${name}-${pinned[name]}`);
  if (existsSync(folder)) return folder;
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  const command = ["npm", "install", "--prefix", work, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
  await runPinned(LOAD_CORE, [...command, `${name}@${pinned[name]}`]);
  renameSync(work, folder);
  return folder;
}

/** A Node proxy in front of `target`, one process. */
export async function startNodeProxy(name: NodeProxy, target: string): Promise<Server> {
  const folder = await unpacked(name);
  const port = freePort();
  const file = join(folder, `bench-${process.pid}-${port}.mjs`);
  await Bun.write(file, programs[name](target, port));
  const program = startPinned(SERVER_CORE, ["node", file], { NODE_ENV: "production" });
  await untilOpen(port, program);
  await Bun.file(file).delete();
  return toServer({ name, version: pinned[name], port, program });
}
