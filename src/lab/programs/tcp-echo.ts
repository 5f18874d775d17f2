/**
 * TCP server: sends its name and a line end, then echoes every byte. Keeps what a slow reader does not take, and
 * stops reading from it meanwhile.  --port 7  --address 0.0.0.0  --name NAME
 */
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "7" },
    address: { type: "string", default: "0.0.0.0" },
    name: { type: "string", default: "backend" },
  },
});

interface State {
  pending: Uint8Array[];
}

Bun.listen<State>({
  hostname: options.address,
  port: Number(options.port),
  socket: {
    open(socket) {
      socket.data = { pending: [] };
      socket.write(`${options.name}\n`);
    },
    data(socket, data) {
      if (socket.data.pending.length > 0) {
        socket.data.pending.push(data);
        return;
      }
      const taken = socket.write(data, 0, data.length);
      if (taken < 0 || taken === data.length) return;
      socket.data.pending.push(data.subarray(taken));
      socket.pause();
    },
    drain(socket) {
      const { pending } = socket.data;
      for (let head = pending[0]; head; head = pending[0]) {
        const taken = socket.write(head, 0, head.length);
        if (taken < 0) return;
        if (taken < head.length) {
          pending[0] = head.subarray(taken);
          return;
        }
        pending.shift();
      }
      socket.resume();
    },
    error() {},
  },
});
console.error(`ready: ${options.name} on ${options.address}:${options.port}/tcp`);
