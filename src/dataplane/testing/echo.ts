/** Program of the tests: says its name on every connection and a line end, then gives back every byte it is sent. */
import { createServer } from "node:net";

const [name, address, port] = process.argv.slice(2) as [string, string, string];

createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.write(`${name}\n`);
  socket.pipe(socket);
}).listen({ port: Number(port), host: address, backlog: 4096 }, () => process.send?.("ready"));
