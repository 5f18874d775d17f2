/** UDP through a daemon with two workers: sessions stay where they are, and a reload costs no client its answers. */
import { expect, test } from "bun:test";
import { bindUdp } from "../../src/runtime/udp.ts";
import { freePort, startDaemon } from "../lib/daemon.ts";

async function echo(name: string) {
  const socket = await bindUdp("127.0.0.1", 0, (self, data, port, address) => {
    self.send(Buffer.from(`${name}:${data}`), port, address);
  });
  return socket;
}

/** Sends and waits for the answer; null after 3 s. */
async function aClient(port: number) {
  let wake: (answer: string) => void = () => {};
  const socket = await bindUdp("127.0.0.1", 0, (_socket, data, from) =>
    wake(from === port ? data.toString() : "alien"),
  );
  const ask = (text: string): Promise<string | null> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), 3000);
      wake = (answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
      socket.send(Buffer.from(text), port, "127.0.0.1");
    });
  return { ask, close: () => socket.close() };
}

test("two workers, many clients, a reload", async () => {
  const backends = [await echo("A"), await echo("B")];
  const port = freePort();
  const config = (idle: string) => ({
    version: 1,
    workers: 2,
    services: {
      echo: {
        method: "proxy",
        listen: [`127.0.0.1:${port}/udp`],
        scheduler: "source-hash",
        backends: backends.map((backend) => `127.0.0.1:${backend.port}`),
        proxy: { udp: { idle } },
      },
    },
  });
  const daemon = await startDaemon(config("60s"), "udp");
  const clients = await Promise.all(Array.from({ length: 24 }, () => aClient(port)));
  try {
    const names = await Promise.all(clients.map(async ({ ask }) => (await ask("1"))?.split(":")[0]));
    expect(new Set(names).size).toBe(1);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(clients.map(({ ask }, i) => ask(`${round}-${i}`)));
      expect(answers).toEqual(clients.map((_, i) => `${names[0]}:${round}-${i}`));
    }
    const counts = daemon.status().services[0]!.counts;
    expect([counts.connections, counts.active, counts.errors]).toEqual([24, 24, 0]);
    await daemon.write(config("59s"));
    let answered = 0;
    let asked = 0;
    let over = false;
    const asking = clients.map(async ({ ask }) => {
      while (!over) {
        asked++;
        if ((await ask("again")) === `${names[0]}:again`) answered++;
      }
    });
    const reloading = Bun.spawn(["bin/sluice", "reload", "--instance", daemon.instance], { stdout: "ignore" });
    expect(await reloading.exited).toBe(0);
    await Bun.sleep(300);
    over = true;
    await Promise.all(asking);
    expect(asked).toBeGreaterThan(24);
    expect(answered).toBe(asked);
  } finally {
    for (const client of clients) client.close();
    for (const backend of backends) backend.close();
    await daemon.dispose();
  }
});
