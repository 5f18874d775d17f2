/** Program of the tests: a TCP server that says its name on each line it is sent, and a UDP server that does likewise. */
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const [name, address, port] = process.argv.slice(2) as [string, string, string];

createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    socket.write(`${name} ${socket.remoteAddress}:${socket.remotePort} ${data.length}\n`);
  });
}).listen(Number(port), address, () => {
  const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
  udp.on("message", (data, from) => udp.send(`${name} ${data.length}`, from.port, from.address));
  udp.bind(Number(port), address, () => process.send?.("ready"));
});
