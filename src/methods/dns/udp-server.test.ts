import { expect, test } from "bun:test";
import { plainUdp } from "../../protocols/dns/respond.ts";
import { makeListener } from "../../runtime/listen.ts";
import { bindUdp } from "../../runtime/udp.ts";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";
import { serveUdp } from "./udp-server.ts";

const PORT = 40000 + (process.pid % 20000);

const query = ask({ name: "shop.example.com" });
const batch = Array.from({ length: 20 }, () => [query, PORT, "127.0.0.1"]).flat();

async function aWorker() {
  const { answerer, doors } = aServer([aService("shop")], [aSnapshot("shop", [aBackend(0, "192.0.2.1")])]);
  const made = makeListener({ address: "127.0.0.1", port: PORT, protocol: "udp" });
  if (!made.ok) throw new Error(made.problems[0]!.message);
  const server = await serveUdp({ fd: made.value, address: "127.0.0.1" }, answerer, plainUdp);
  return { server, answered: () => doors.counts.get("shop/-1/requests") ?? 0 };
}

/** Many clients: the kernel spreads them over the sockets of one address by their ports. */
const someClients = (onAnswer: () => void) =>
  Promise.all(Array.from({ length: 16 }, () => bindUdp("127.0.0.1", 0, onAnswer)));

test("a worker that leaves answers what waits for it and gets nothing new", async () => {
  let answers = 0;
  const clients = await someClients(() => {
    answers++;
  });
  const send = (): number => clients.reduce((sum, client) => sum + client.sendMany(batch), 0);
  const stays = await aWorker();
  let sent = 0;
  for (let round = 0; round < 10; round++) {
    const leaves = await aWorker();
    sent += send();
    const gone = leaves.server.drain();
    sent += send();
    await gone;
    expect(leaves.answered()).toBeGreaterThan(0);
    expect(leaves.answered()).toBeLessThan(16 * 20);
  }
  const idle = await aWorker();
  const gone = idle.server.drain();
  sent += send();
  await gone;
  expect(idle.answered()).toBe(0);
  expect(sent).toBe(21 * 16 * 20);
  for (let i = 0; i < 100 && answers < sent; i++) await new Promise((next) => setTimeout(next, 10));
  expect(answers).toBe(sent);
  for (const client of clients) client.close();
  await stays.server.drain();
});
