import { expect, test } from "bun:test";
import { ptr } from "../../runtime/ffi.ts";
import { libc } from "../../runtime/libc.ts";
import { closeFd, makeListener } from "../../runtime/listen.ts";
import {
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  PMTUDISC_OMIT,
} from "../../runtime/socket-constants.ts";
import { bindUdp } from "../../runtime/udp.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";
import { serveUdp } from "./udp-server.ts";

const PORT = 40000 + (process.pid % 20000);

const query = ask({ name: "shop.example.com" });
const batch = Array.from({ length: 20 }, () => [query, PORT, "127.0.0.1"]).flat();

/** Another descriptor of the same socket, as a worker inherits it from the daemon. */
const F_DUPFD = 0;
const inherited = (fd: number): number => libc.fcntl(fd, F_DUPFD, 0);

function aSocket(): number {
  const made = makeListener({ address: "127.0.0.1", port: PORT, protocol: "udp" });
  if (!made.ok) throw new Error(made.problems[0]!.message);
  return made.value;
}

async function aWorker(fd: number) {
  const { datagrams } = aServer([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])]);
  const server = await serveUdp({ fd: inherited(fd) }, datagrams);
  return { server };
}

/** Many clients: the kernel spreads them over the sockets of one address by their ports. */
const someClients = (onAnswer: () => void) =>
  Promise.all(Array.from({ length: 16 }, () => bindUdp("127.0.0.1", 0, onAnswer)));

test("workers that leave take nothing with them: the next ones read the same sockets", async () => {
  let answers = 0;
  const clients = await someClients(() => {
    answers++;
  });
  const send = (): number => clients.reduce((sum, client) => sum + client.sendMany(batch), 0);
  const sockets = [aSocket(), aSocket()];
  const generation = () => Promise.all(sockets.map((fd) => aWorker(fd)));
  let present = await generation();
  let sent = 0;
  for (let round = 0; round < 10; round++) {
    const next = await generation();
    sent += send();
    const gone = Promise.all(present.map(({ server }) => server.drain()));
    sent += send();
    await gone;
    sent += send();
    present = next;
  }
  expect(sent).toBe(30 * 16 * 20);
  for (let i = 0; i < 500 && answers < sent; i++) await new Promise((next) => setTimeout(next, 10));
  expect(answers).toBe(sent);
  sent += send();
  // The last one leaves: what had come is answered.
  await Promise.all(present.map(({ server }) => server.drain()));
  for (let i = 0; i < 500 && answers < sent; i++) await new Promise((next) => setTimeout(next, 10));
  expect(answers).toBe(sent);
  for (const client of clients) client.close();
  for (const fd of sockets) closeFd(fd);
});

test.each([
  ["127.0.0.1", IPPROTO_IP, IP_MTU_DISCOVER],
  ["::1", IPPROTO_IPV6, IPV6_MTU_DISCOVER],
])("udp.fragments: what ICMP says of a path cuts no answer into pieces (%s)", async (address, level, option) => {
  const made = makeListener({ address, port: PORT, protocol: "udp" });
  if (!made.ok) throw new Error(made.problems[0]!.message);
  const value = (): number => {
    const found = new Int32Array(1);
    expect(libc.getsockopt(made.value, level, option, ptr(found), ptr(new Uint32Array([4])))).toBe(0);
    return found[0]!;
  };
  expect(value()).not.toBe(PMTUDISC_OMIT);
  const { server } = await aWorker(made.value);
  expect(value()).toBe(PMTUDISC_OMIT);
  await server.drain();
  closeFd(made.value);
});
