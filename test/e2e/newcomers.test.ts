/** Services that a reload adds: who is dead is not answered, not even first; who is refused is not probed any more. */
import { afterAll, expect, test } from "bun:test";
import packet from "dns-packet";
import { freePort, startBackend, startDaemon, type TestDaemon } from "../lib/daemon.ts";

const daemons: TestDaemon[] = [];
afterAll(async () => {
  for (const daemon of daemons) await daemon.dispose();
});

/** Asks for a name over and over until somebody answers with addresses: these. */
async function firstAnswer(port: number, name: string): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: {
      data(_socket, data) {
        const { answers } = packet.decode(Buffer.from(data));
        if (answers!.length > 0) resolve(answers!.map((one) => (one as { data: string }).data).sort());
      },
    },
  });
  const timer = setInterval(() => {
    socket.send(packet.encode({ type: "query", id: 1, questions: [{ name, type: "A" }] }));
  }, 2);
  const addresses = await promise;
  clearInterval(timer);
  socket.close();
  return addresses;
}

const check = { http: "/", interval: "200ms", timeout: "1s", rise: 2, fall: 2 };

/** A daemon with one service, and what adds another: one backend is alive, one is dead. */
async function grown(more: object = {}) {
  const port = freePort();
  const living = startBackend("living");
  const service = (name: string, backends: string[]) => ({
    method: "dns",
    names: [`${name}.example.com`],
    backends,
    check,
  });
  const before = {
    version: 1,
    workers: 1,
    dns: { listen: [`127.0.0.1:${port}`], zones: ["example.com"] },
    services: { old: service("old", [`127.0.0.1:${living.port}`]) },
  };
  const daemon = await startDaemon(before, "newcomers");
  daemons.push(daemon);
  const fresh = startBackend("fresh");
  const added = { new: service("new", [`127.0.0.1:${fresh.port}`, `127.0.0.2:${freePort()}`]), ...more };
  await daemon.write({ ...before, services: { ...before.services, ...added } });
  const stop = (): void => {
    living.stop();
    fresh.stop();
  };
  return { daemon, port, fresh, stop };
}

test("the first answer to the name of an added service has no dead backend", async () => {
  const { daemon, port, stop } = await grown();
  const [first, code] = await Promise.all([firstAnswer(port, "new.example.com"), daemon.reloadBeside()]);
  expect(code).toBe(0);
  expect(first).toEqual(["127.0.0.1"]);
  expect(await firstAnswer(port, "old.example.com")).toEqual(["127.0.0.1"]);
  stop();
});

test("an added service whose revision is refused is probed no more", async () => {
  const taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const proxy = { method: "proxy", listen: [`127.0.0.1:${taken.port}`], backends: ["127.0.0.1:9"], check: "none" };
  const { daemon, fresh, stop } = await grown({ proxy });
  expect(await daemon.reloadBeside()).toBe(1);
  expect(daemon.status().services.map(({ name }) => name)).toEqual(["old"]);
  const probes = fresh.requests();
  expect(probes).toBeGreaterThan(0);
  await Bun.sleep(1000);
  // One may have been under way.
  expect(fresh.requests() - probes).toBeLessThanOrEqual(1);
  taken.stop(true);
  stop();
});
