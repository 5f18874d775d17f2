/**
 * UDP server: answers each datagram with `NAME:` and what it got.  --port 7  --address 0.0.0.0[,…]  --name NAME
 * A host that holds a VIP besides its own address names both: from a wildcard socket the answer would leave with the
 * address of the interface, and the client would not know it.
 */
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "7" },
    address: { type: "string", default: "0.0.0.0" },
    name: { type: "string", default: "backend" },
  },
});
const prefix = Buffer.from(`${options.name}:`);

for (const hostname of options.address.split(","))
  await Bun.udpSocket({
    hostname,
    port: Number(options.port),
    socket: {
      data(socket, data, port, address) {
        socket.send(Buffer.concat([prefix, data]), port, address);
      },
    },
  });
console.error(`ready: ${options.name} on ${options.address}:${options.port}/udp`);
