/**
 * The HTTP server of the labs. It answers with its own name, and writes one JSON line per request to --log (or
 * stdout) the moment the request arrives, so that a test can tell what was sent after a death.
 *   --port 8000[,80]  --address 0.0.0.0  --name NAME  --log FILE
 * /            NAME                      /bytes/N      N bytes of the pattern, streamed
 * /headers     what arrived, as JSON     /slow/MS      NAME after MS
 * /hash        sha256 and length of the body that was sent, as JSON
 * /status/N    that status               /fail, /mend  make /healthz answer 503, or 200 again
 */
import { appendFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { PATTERN_BLOCK, pattern, patternAt } from "../pattern.ts";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "8000" },
    address: { type: "string", default: "0.0.0.0" },
    name: { type: "string", default: "backend" },
    log: { type: "string" },
  },
});
const { name } = options;
let healthy = true;

const text = (body: string, status = 200): Response =>
  new Response(body, { status, headers: { "content-type": "text/plain", "x-backend": name } });

const json = (value: unknown): Response => Response.json(value, { headers: { "x-backend": name } });

function bytes(length: number): Response {
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      const size = Math.min(PATTERN_BLOCK, length - sent);
      // A copy: the stream may take the buffer over.
      if (size > 0) controller.enqueue(size === PATTERN_BLOCK ? pattern.slice() : patternAt(sent, size).slice());
      sent += size;
      if (sent >= length) controller.close();
    },
  });
  const headers = { "content-length": String(length), "content-type": "application/octet-stream", "x-backend": name };
  return new Response(length > 0 ? body : null, { headers });
}

async function hash(request: Request): Promise<Response> {
  const hasher = new Bun.CryptoHasher("sha256");
  let length = 0;
  for await (const chunk of request.body ?? []) {
    hasher.update(chunk);
    length += chunk.length;
  }
  return json({ name, sha256: hasher.digest("hex"), length });
}

function record(request: Request, url: URL, client: { address: string; port: number } | null): void {
  const line = JSON.stringify({
    at: performance.timeOrigin + performance.now(),
    name,
    method: request.method,
    path: url.pathname + url.search,
    host: request.headers.get("host"),
    client: client?.address ?? null,
    port: client?.port ?? null,
    forwardedFor: request.headers.get("x-forwarded-for"),
  });
  if (options.log) appendFileSync(options.log, `${line}\n`);
  else console.log(line);
}

async function answer(request: Request, url: URL, client: unknown): Promise<Response> {
  const [, word = "", argument = ""] = url.pathname.split("/");
  switch (word) {
    case "":
      return text(`${name}\n`);
    case "bytes":
      return bytes(Number(argument));
    case "headers":
      return json({ name, client, method: request.method, url: request.url, headers: [...request.headers] });
    case "slow":
      await Bun.sleep(Number(argument));
      return text(`${name}\n`);
    case "hash":
      return hash(request);
    case "status":
      return text(`${name}\n`, Number(argument));
    case "fail":
    case "mend":
      healthy = word === "mend";
      return text(`${name} ${word}\n`);
    case "healthz":
      return healthy ? text("ok\n") : text("failing\n", 503);
    default:
      return text(`${name} ${url.pathname}\n`);
  }
}

for (const port of options.port.split(",").map(Number))
  Bun.serve({
    hostname: options.address,
    port,
    idleTimeout: 0,
    maxRequestBodySize: 2 ** 40,
    fetch(request, server) {
      const client = server.requestIP(request);
      const url = new URL(request.url);
      record(request, url, client);
      return answer(request, url, client);
    },
  });
console.error(`ready: ${name} on ${options.address}:${options.port}`);
