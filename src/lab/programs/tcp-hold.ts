/**
 * Holds many TCP connections to an echo server (`tcp-echo`) open, and checks every byte that comes back.
 *   --target ADDRESS:PORT  --connections 100  --interval 50 (ms between chunks of one connection)  --bytes 64
 * Writes "ready" to stderr once all are open; at SIGTERM or SIGINT, or when its last connection breaks, one JSON line
 * to stdout: { open, broken, wrong, bytes, chunks, stalled, backends: { NAME: connections }, errors }.
 * `stalled` are connections that wait for an echo longer than --stall ms at the end.
 */
import { parseArgs } from "node:util";
import { patternAt } from "../pattern.ts";

const { values: options } = parseArgs({
  options: {
    target: { type: "string" },
    connections: { type: "string", default: "100" },
    interval: { type: "string", default: "50" },
    bytes: { type: "string", default: "64" },
    stall: { type: "string", default: "5000" },
  },
});
const [host = "", port = ""] = options.target!.split(":");
const wanted = Number(options.connections);
const size = Number(options.bytes);

interface State {
  name: string;
  named: boolean;
  sent: number;
  received: number;
  sentAt: number;
  over: boolean;
}
const sockets: Bun.Socket<State>[] = [];
const result = {
  open: 0,
  broken: 0,
  wrong: 0,
  bytes: 0,
  chunks: 0,
  stalled: 0,
  backends: {} as Record<string, number>,
  errors: [] as string[],
};
const complain = (what: string) => result.errors.length < 20 && result.errors.push(what);

function broken(socket: Bun.Socket<State>, why: string): void {
  if (socket.data.over) return;
  socket.data.over = true;
  result.broken++;
  result.open--;
  complain(`${socket.data.name || "unnamed"}: ${why}`);
}

function take(socket: Bun.Socket<State>, data: Uint8Array): void {
  const state = socket.data;
  let rest = data;
  if (!state.named) {
    const end = rest.indexOf(10);
    state.name += Buffer.from(end < 0 ? rest : rest.subarray(0, end)).toString("latin1");
    if (end < 0) return;
    state.named = true;
    result.backends[state.name] = (result.backends[state.name] ?? 0) + 1;
    rest = rest.subarray(end + 1);
  }
  if (rest.length > 0 && Buffer.compare(rest, patternAt(state.received, rest.length)) !== 0) {
    result.wrong++;
    broken(socket, `wrong bytes after ${state.received}`);
    socket.terminate();
  }
  state.received += rest.length;
  result.bytes += rest.length;
}

function send(socket: Bun.Socket<State>): void {
  const state = socket.data;
  if (state.over || !state.named || state.received < state.sent) return;
  const taken = socket.write(patternAt(state.sent, size), 0, size);
  if (taken <= 0) return;
  state.sent += taken;
  state.sentAt = performance.now();
  result.chunks++;
}

function finish(): void {
  const now = performance.now();
  for (const { data: state } of sockets)
    if (!state.over && state.received < state.sent && now - state.sentAt > Number(options.stall)) result.stalled++;
  console.log(JSON.stringify(result));
  process.exit(0);
}

for (let i = 0; i < wanted; i++)
  try {
    const socket = await Bun.connect<State>({
      hostname: host,
      port: Number(port),
      data: { name: "", named: false, sent: 0, received: 0, sentAt: 0, over: false },
      socket: {
        data: take,
        close: (s, error) => broken(s, error ? `closed: ${error.message}` : "closed"),
        error: (s, error) => broken(s, error.message),
      },
    });
    sockets.push(socket);
    result.open++;
  } catch (error) {
    result.broken++;
    complain(`connect: ${error instanceof Error ? error.message : error}`);
  }

const waitForNames = setInterval(() => {
  if (!sockets.every((s) => s.data.named || s.data.over)) return;
  clearInterval(waitForNames);
  console.error(`ready: ${result.open} of ${wanted} connections`);
}, 5);
setInterval(() => {
  for (const socket of sockets) send(socket);
  if (result.open === 0) finish();
}, Number(options.interval));
process.on("SIGTERM", finish);
process.on("SIGINT", finish);
