import { afterEach, expect, test } from "bun:test";
import { type DatagramServer, serveDatagrams } from "./direct-udp.ts";
import { makeListener } from "./listen.ts";
import { fromSockaddr } from "./socket-address.ts";
import { bindUdp } from "./udp.ts";

const PORT = 40000 + (process.pid % 20000);
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Answers with the sender's port and what it sent; `!` is not answered. */
async function anEcho(address = "127.0.0.1") {
  const made = makeListener({ address, port: PORT, protocol: "udp" });
  if (!made.ok) throw new Error(made.problems[0]!.message);
  const seen = { count: 0, octets: 0 };
  const server: DatagramServer = await serveDatagrams(made.value, ({ octets }, length, peer) => {
    seen.count++;
    seen.octets += length;
    if (octets[0] === 33) return 0;
    const said = Buffer.concat([Buffer.from(`${fromSockaddr(peer).port} `), octets.subarray(0, Math.min(length, 900))]);
    octets.set(said);
    return said.length;
  });
  closers.push(() => server.close());
  return { server, seen };
}

async function aClient(address: string, heard: (text: string) => void) {
  const client = await bindUdp(address, 0, (_socket, data) => heard(data.toString()));
  closers.push(() => client.close());
  return client;
}

const until = async (done: () => boolean): Promise<void> => {
  for (let i = 0; i < 1000 && !done(); i++) await new Promise((next) => setTimeout(next, 10));
};

for (const address of ["127.0.0.1", "::1"])
  test(`each of many clients gets its own answers (${address})`, async () => {
    await anEcho(address);
    const heard: string[] = [];
    const wanted: string[] = [];
    for (let c = 0; c < 10; c++) {
      const client = await aClient(address, (text) => void heard.push(`${c} ${text}`));
      for (let i = 0; i < 50; i++) {
        client.send(Buffer.from(i % 5 === 4 ? `!${i}` : `q${i}`), PORT, address);
        if (i % 5 !== 4) wanted.push(`${c} ${client.port} q${i}`);
      }
    }
    await until(() => heard.length === wanted.length);
    expect(heard.sort()).toEqual(wanted.sort());
  });

test("what waits is answered when it ends, without the event loop, and long datagrams come whole", async () => {
  const { server, seen } = await anEcho();
  const client = await aClient("127.0.0.1", () => {});
  for (let i = 0; i < 200; i++) client.send(Buffer.alloc(i === 7 ? 60_000 : 10, 65), PORT, "127.0.0.1");
  server.finish();
  expect(seen).toEqual({ count: 200, octets: 60_000 + 1990 });
});

test("a client that is gone (ICMP) takes no answer from the others", async () => {
  await anEcho();
  let answers = 0;
  const client = await aClient("127.0.0.1", () => void answers++);
  for (let i = 0; i < 200; i++) {
    const gone = await bindUdp("127.0.0.1", 0, () => {});
    gone.send(Buffer.from("q"), PORT, "127.0.0.1");
    gone.close();
    client.send(Buffer.from("q"), PORT, "127.0.0.1");
    if (i % 10 === 0) await new Promise((next) => setTimeout(next, 1));
  }
  await until(() => answers === 200);
  expect(answers).toBe(200);
});

test("while datagrams come without end, everything else has its turn", async () => {
  const { seen } = await anEcho();
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  closers.push(() => clearInterval(timer));
  const clients = await Promise.all(
    Array.from({ length: 4 }, () =>
      aClient("127.0.0.1", () => {
        for (const client of clients) if (seen.count < 50_000) client.send(Buffer.from("q"), PORT, "127.0.0.1");
      }),
    ),
  );
  for (const client of clients) client.send(Buffer.from("q"), PORT, "127.0.0.1");
  await until(() => seen.count >= 50_000);
  expect(seen.count).toBeGreaterThanOrEqual(50_000);
  expect(turns).toBeGreaterThan(5);
});

test("when no more come the process sleeps", async () => {
  await anEcho();
  let answers = 0;
  const client = await aClient("127.0.0.1", () => void answers++);
  for (let i = 0; i < 100; i++) client.send(Buffer.from("q"), PORT, "127.0.0.1");
  await until(() => answers === 100);
  const before = process.cpuUsage();
  await new Promise((next) => setTimeout(next, 400));
  const { user, system } = process.cpuUsage(before);
  expect(user + system).toBeLessThan(200_000);
});

test("a socket that is closed serves no more; another of the same address does", async () => {
  const first = await anEcho();
  const second = await anEcho();
  first.server.close();
  let answers = 0;
  const client = await aClient("127.0.0.1", () => void answers++);
  for (let i = 0; i < 50; i++) client.send(Buffer.from("q"), PORT, "127.0.0.1");
  await until(() => answers === 50);
  expect([first.seen.count, second.seen.count, answers]).toEqual([0, 50, 50]);
});
