/**
 * Sends GETs, each on a connection of its own, never twice, and tells what became of every one.
 *   --url http://ADDRESS[:PORT]/PATH   --rate 50 (per second)   --count N | until SIGTERM   --timeout 2000 (ms)
 *   --host NAME (Host field)  --follow (redirects: the next request goes to the Location)
 *   --resolve NAMESERVER (the name in --url is asked there, and kept for its TTL)
 *   --log FILE (JSON line per request: { at, took, backend, status, address, error })
 * Last line on stdout: { sent, ok, lost, backends: { NAME: n }, addresses: { ADDRESS: n }, errors: { WHY: n } }.
 */
import { appendFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { get, type Reply } from "./http-get.ts";
import { createResolver } from "./resolve.ts";

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    rate: { type: "string", default: "50" },
    count: { type: "string", default: "0" },
    timeout: { type: "string", default: "2000" },
    host: { type: "string" },
    follow: { type: "boolean", default: false },
    resolve: { type: "string" },
    log: { type: "string" },
  },
});
const timeout = Number(options.timeout);
const count = Number(options.count);
const resolver = options.resolve ? createResolver(options.resolve, timeout) : null;

const result = {
  sent: 0,
  ok: 0,
  lost: 0,
  backends: {} as Record<string, number>,
  addresses: {} as Record<string, number>,
  errors: {} as Record<string, number>,
};
const bump = (table: Record<string, number>, key: string) => {
  table[key] = (table[key] ?? 0) + 1;
};

async function fetchOnce(): Promise<Reply & { address: string }> {
  let url = new URL(options.url!);
  for (let hop = 0; ; hop++) {
    const address = resolver && /[a-z]/i.test(url.hostname) ? await resolver(url.hostname) : url.hostname;
    const reply = await get({
      address,
      port: Number(url.port || 80),
      host: (hop === 0 && options.host) || url.host,
      path: url.pathname + url.search,
      timeout,
    });
    if (!options.follow || reply.location === null || hop === 5) return { ...reply, address };
    url = new URL(reply.location, url);
  }
}

async function one(): Promise<void> {
  result.sent++;
  const at = performance.timeOrigin + performance.now();
  const line: Record<string, unknown> = { at };
  try {
    const reply = await fetchOnce();
    if (reply.status !== 200) throw new Error(`status ${reply.status}`);
    result.ok++;
    bump(result.backends, reply.backend ?? "unnamed");
    bump(result.addresses, reply.address);
    Object.assign(line, { backend: reply.backend, status: reply.status, address: reply.address });
  } catch (error) {
    result.lost++;
    const why = error instanceof Error ? error.message : String(error);
    bump(result.errors, why);
    line.error = why;
  }
  line.took = performance.timeOrigin + performance.now() - at;
  if (options.log) appendFileSync(options.log, `${JSON.stringify(line)}\n`);
}

const running = new Set<Promise<void>>();
let finishing = false;
async function finish(): Promise<void> {
  if (finishing) return;
  finishing = true;
  clearInterval(timer);
  await Promise.all(running);
  console.log(JSON.stringify(result));
  process.exit(0);
}
const timer = setInterval(() => {
  const request = one().finally(() => running.delete(request));
  running.add(request);
  if (count > 0 && result.sent >= count) finish();
}, 1000 / Number(options.rate));
process.on("SIGTERM", finish);
process.on("SIGINT", finish);
console.error("ready: sending");
