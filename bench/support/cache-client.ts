/**
 * A client behind a caching resolver: `cache-client.ts SECONDS SPREAD DEAD VIP NAMES…`. It asks the resolver on loopback for each of NAMES
 * every 100 ms, the first time at its own moment within SPREAD seconds, and tells when an answer last had DEAD in the first
 * place; it also asks for VIP and sends a request there, and tells when one that failed had begun. JSON on stdout, ms since 1970.
 */
import { parseArgs } from "node:util";

const STEP = 100;
const PATIENCE = 1000;

const { positionals } = parseArgs({ allowPositionals: true });
const [seconds = "", spread = "", dead = "", vip = "", ...names] = positionals;

/** A query for A. */
function queryFor(name: string, id: number): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  const head = Buffer.from("000001000001000000000000", "hex");
  head.writeUInt16BE(id);
  return Buffer.concat([head, ...labels, Buffer.from("0000010001", "hex")]);
}

/** The first address of an answer to a query of so many octets; its owner is a pointer. */
const firstAddress = (answer: Buffer, asked: number): string | null =>
  answer.readUInt16BE(6) === 0 ? null : [...answer.subarray(asked + 12, asked + 16)].join(".");

const all = [vip, ...names];
const queries = all.map(queryFor);
const lastDead: (number | null)[] = all.map(() => null);
let lastFailed: number | null = null;
let failures = 0;
let requests = 0;

async function request(address: string): Promise<void> {
  const begun = Date.now();
  requests++;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(`http://${address}/`, { signal, keepalive: false });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${response.status}`);
  } catch {
    failures++;
    lastFailed = Math.max(lastFailed ?? 0, begun);
  }
}

let unheard = 0;
let answered = false;

const socket = await Bun.udpSocket({
  connect: { hostname: "127.0.0.1", port: 53 },
  socket: {
    data(_socket, answer) {
      answered = true;
      const which = answer.readUInt16BE(0);
      const address = firstAddress(answer, queries[which]!.length);
      if (address === dead) lastDead[which] = Date.now();
      if (which === 0 && address !== null) void request(address);
    },
    error() {},
  },
});

/** The resolver may have nobody listening yet: a refusal comes back with a later query. */
function send(query: Buffer): void {
  try {
    socket.send(query);
  } catch {
    unheard++;
  }
}
for (let i = 0; i < 100 && !answered; i++) {
  send(queries[0]!);
  await Bun.sleep(STEP);
}
if (!answered) throw new Error(`the resolver does not answer (${unheard} refused)`);

const begun = performance.now();
const first = all.map((_, i) => (i === 0 ? 0 : ((i - 1) * Number(spread) * 1000) / names.length));
while (performance.now() - begun < Number(seconds) * 1000) {
  for (const [i, query] of queries.entries()) if (performance.now() - begun >= first[i]!) send(query);
  await Bun.sleep(STEP);
}
await Bun.sleep(PATIENCE);
socket.close();
console.log(JSON.stringify({ lastDead: lastDead.slice(1), vip: lastFailed, failures, requests }));
process.exit(0);
