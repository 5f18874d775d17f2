/** UDP sessions go from the workers that leave to those that come: at a reload, an upgrade, and after a daemon's death. */
import { afterAll, expect, test } from "bun:test";
import { bindUdp, type UdpSocket } from "../../src/runtime/udp.ts";
import { freePort, startDaemon } from "../lib/daemon.ts";

const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

/** Answers with its name, the port that asks, and what it got. */
async function backend(name: string): Promise<UdpSocket> {
  const socket = await bindUdp("127.0.0.1", 0, (self, data, port, address) =>
    self.send(Buffer.from(`${name} ${port} ${data}`), port, address),
  );
  stops.push(() => socket.close());
  return socket;
}

/** A client that numbers what it sends, and knows every answer. */
class Client {
  sent = 0;
  readonly answered = new Set<number>();
  /** Backends and ports that have answered: one while its session lives. */
  readonly sessions = new Set<string>();
  private socket: UdpSocket | null = null;
  private readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  async open(): Promise<this> {
    this.socket = await bindUdp("127.0.0.1", 0, (_socket, data) => {
      const [name, port, number] = data.toString().split(" ");
      this.sessions.add(`${name} ${port}`);
      this.answered.add(Number(number));
    });
    stops.push(() => this.socket!.close());
    return this;
  }

  send(): void {
    this.socket!.send(Buffer.from(`${this.sent++}`), this.port, "127.0.0.1");
  }

  async settled(): Promise<boolean> {
    for (let i = 0; i < 300 && this.answered.size < this.sent; i++) await Bun.sleep(10);
    return this.answered.size === this.sent;
  }
}

test("sessions keep backend and port, and no datagram is lost, through reloads, an upgrade and a daemon's death", async () => {
  const backends = await Promise.all(["A", "B", "C"].map(backend));
  const port = freePort();
  const config = (...more: string[]) => ({
    version: 1,
    workers: 2,
    services: {
      game: {
        method: "proxy",
        listen: [`127.0.0.1:${port}/udp`, ...more],
        backends: backends.map((one) => `127.0.0.1:${one.port}`),
        check: "none",
      },
    },
  });
  const daemon = await startDaemon(config(), "sessions");
  stops.push(() => daemon.dispose());
  const clients = await Promise.all(Array.from({ length: 120 }, () => new Client(port).open()));
  // So few at a time that what waits while workers change overflows no backend's buffer.
  let turn = 0;
  const ticker = setInterval(() => {
    for (const client of clients.slice(turn, turn + 12)) client.send();
    turn = (turn + 12) % clients.length;
  }, 30);
  await Bun.sleep(500);
  for (const more of [[`127.0.0.1:${freePort()}/udp`], []]) {
    await daemon.write(config(...more));
    expect(await daemon.reloadBeside()).toBe(0);
    await Bun.sleep(300);
  }
  await daemon.start("--upgrade");
  await Bun.sleep(300);
  await daemon.kill("SIGKILL");
  await daemon.start();
  await Bun.sleep(300);
  clearInterval(ticker);
  for (const client of clients) expect([await client.settled(), client.sessions.size]).toEqual([true, 1]);
  // What the old workers had is gone from their counts, and what the new ones have is in theirs.
  expect(daemon.status().services[0]!.counts.active).toBe(120);
});
