/**
 * Open-loop load: `bun open-load.ts PORT RATE SECONDS SEED`. Requests come at their own times (a Poisson process), whether
 * earlier ones are answered or not, each with its own work; the same seed gives the same requests at the same times. A
 * latency is counted from when a request should have gone out. Prints JSON: { sent, failed, p50, p99, p999 } in ms.
 */
import { drawWork, exponential, seeded } from "./uneven.ts";

const [port, rate, seconds, seed] = process.argv.slice(2).map(Number) as [number, number, number, number];
/** Clients, each with an address of its own, for schedulers that hash it; a request comes from any of them. */
const CLIENTS = 200;
/** What has not been answered so long after the last request counts with the time that it took until then, ms. */
const PATIENCE = 10_000;

interface Sent {
  client: number;
  begun: number;
  text: string;
}
type Connection = Bun.Socket<Sent>;

/** Connections at rest, by client. */
const idle: Connection[][] = Array.from({ length: CLIENTS }, () => []);
const busy = new Set<Connection>();
const latencies: number[] = [];
let failed = 0;
let sent = 0;

function done(socket: Connection, whole: boolean): void {
  if (!busy.delete(socket)) return;
  latencies.push(performance.now() - socket.data.begun);
  if (whole) idle[socket.data.client]!.push(socket);
  else failed++;
}

function send(socket: Connection, begun: number, work: number): void {
  socket.data.begun = begun;
  socket.data.text = "";
  busy.add(socket);
  socket.write(`GET /${work.toFixed(2)} HTTP/1.1\r\nHost: bench\r\n\r\n`);
}

function connect(client: number, begun: number, work: number): void {
  const options = {
    hostname: "127.0.0.1",
    port,
    localAddress: `127.0.1.${1 + client}`,
    data: { client, begun, text: "" },
    socket: {
      open: (socket: Connection) => send(socket, begun, work),
      data(socket: Connection, chunk: Buffer) {
        socket.data.text += chunk.toString("latin1");
        if (socket.data.text.endsWith("\r\n\r\nok")) done(socket, socket.data.text.startsWith("HTTP/1.1 200"));
        else if (/^HTTP\/1.1 [^2]/.test(socket.data.text)) {
          done(socket, false);
          socket.terminate();
        }
      },
      close(socket: Connection) {
        done(socket, false);
        idle[client] = idle[client]!.filter((resting) => resting !== socket);
      },
    },
  };
  Bun.connect<Sent>(options as Bun.TCPSocketConnectOptions<Sent>).catch(() => void failed++);
}

const random = seeded(seed);
const start = performance.now();
for (let due = exponential(1000 / rate, random()); due < seconds * 1000; due += exponential(1000 / rate, random())) {
  const work = drawWork(random);
  const wait = start + due - performance.now();
  if (wait > 0.5) await Bun.sleep(wait);
  sent++;
  const client = Math.floor(random() * CLIENTS);
  const socket = idle[client]!.pop();
  if (socket === undefined) connect(client, start + due, work);
  else send(socket, start + due, work);
}
const last = performance.now();
while (busy.size > 0 && performance.now() - last < PATIENCE) await Bun.sleep(20);
for (const { data } of busy) latencies.push(performance.now() - data.begun);

latencies.sort((a, b) => a - b);
const at = (part: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(part * latencies.length))] ?? 0;
console.log(JSON.stringify({ sent, failed, p50: at(0.5), p99: at(0.99), p999: at(0.999) }));
process.exit(0);
