/** Whom a reload adds: who is dead is not answered, not even first; who is refused is not probed any more. */
import { afterAll, describe, expect, test } from "bun:test";
import packet from "dns-packet";
import { startProgram } from "../../src/lab/start.ts";
import { freePort, startBackend, startDaemon, type TestDaemon } from "../lib/daemon.ts";
import { configFile, startSluice, withLab } from "../lib/lab.ts";
import { noXdp } from "../lib/skip.ts";
import { serviceStatus, sluice, untilEligible } from "../lib/status.ts";

const daemons: TestDaemon[] = [];
afterAll(async () => {
  for (const daemon of daemons) await daemon.dispose();
});

/** Asks for a name over and over; `heard` gets the addresses of each answer. Returns how to stop. */
async function ask(port: number, name: string, heard: (addresses: string[]) => void): Promise<() => void> {
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: {
      data(_socket, data) {
        const { answers } = packet.decode(Buffer.from(data));
        heard(answers!.map((one) => (one as { data: string }).data).sort());
      },
    },
  });
  const timer = setInterval(() => {
    socket.send(packet.encode({ type: "query", id: 1, questions: [{ name, type: "A" }] }));
  }, 2);
  return () => {
    clearInterval(timer);
    socket.close();
  };
}

/** Asks for a name until somebody answers with addresses: these. */
async function firstAnswer(port: number, name: string): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const stop = await ask(port, name, (addresses) => addresses.length > 0 && resolve(addresses));
  const addresses = await promise;
  stop();
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

/** An HTTP backend that says its name, after a while when it is checked. */
function checkedSlowly(hostname: string) {
  const server = Bun.serve({
    hostname,
    port: 0,
    async fetch({ url }) {
      if (url.endsWith("/healthz")) await Bun.sleep(300);
      return new Response(hostname);
    },
  });
  return { address: `${hostname}:${server.port}`, stop: () => void server.stop(true) };
}

/** By method: asks again and again who serves; `heard` gets the backend's address, or "" for nobody. Returns how to stop. */
const asking: Record<string, (port: number, heard: (address: string) => void) => Promise<() => void>> = {
  dns: (port, heard) => ask(port, "web.example.com", (addresses) => heard(addresses.join(" "))),
  proxy: (port, heard) => fetching(port, async (response) => heard(response.ok ? await response.text() : "")),
  redirect: (port, heard) =>
    fetching(port, async ({ headers }) => heard(headers.get("location")?.match(/127\.0\.0\.\d/)?.[0] ?? "")),
};

async function fetching(port: number, heard: (response: Response) => Promise<void>): Promise<() => void> {
  let stopped = false;
  void (async () => {
    while (!stopped) {
      await heard(await fetch(`http://127.0.0.1:${port}/`, { redirect: "manual" }));
      await Bun.sleep(2);
    }
  })();
  return () => {
    stopped = true;
  };
}

describe("backends that are all others after a reload take over when they have been probed", () => {
  test.each(Object.keys(asking))("%s", async (method) => {
    const [port, old, next] = [freePort(), checkedSlowly("127.0.0.2"), checkedSlowly("127.0.0.3")];
    const listen = [`127.0.0.1:${port}`];
    const config = (backend: string) => ({
      version: 1,
      workers: 1,
      ...(method === "dns" ? { dns: { listen, zones: ["example.com"] } } : {}),
      services: {
        web: {
          method,
          ...(method === "dns" ? { names: ["web.example.com"], dns: { empty: "nodata" } } : { listen }),
          backends: [backend],
          check: { http: "/healthz", interval: "1s", timeout: "900ms", rise: 1, fall: 2 },
        },
      },
    });
    const daemon = await startDaemon(config(old.address), "successors");
    daemons.push(daemon);
    const heard = new Set<string>();
    const stop = await asking[method]!(port, (address) => heard.add(address));
    while (!heard.has("127.0.0.2")) await Bun.sleep(5);
    await daemon.write(config(next.address));
    expect(await daemon.reloadBeside()).toBe(0);
    while (!heard.has("127.0.0.3")) await Bun.sleep(5);
    stop();
    // For a moment both may be answered; never nobody.
    expect([...heard].filter((address) => address !== "127.0.0.2 127.0.0.3")).toEqual(["127.0.0.2", "127.0.0.3"]);
    expect(daemon.status().services[0]!.backends.map(({ name }) => name)).toEqual([next.address]);
    old.stop();
    next.stop();
  });

  test.skipIf(noXdp !== null).each(["direct", "nat"])("%s", async (method) => {
    const reals = ["125.12.12.20:80", "125.12.12.21:80"];
    const config = (backend: string): string => `version: 1
services:
  web:
    method: ${method}
    listen: [125.12.12.77:80]
    backends: [${backend}]
    check: { http: /slow/300, interval: 1s, timeout: 900ms, rise: 1, fall: 2 }
    nat: { engine: nftables, masquerade: true }
`;
    await withLab("direct", async (lab) => {
      const daemon = await startSluice(lab, "director", config(reals[0]!));
      await untilEligible(lab, daemon, "web", [reals[0]!]);
      const to = ["--url", "http://125.12.12.77/", "--rate", "100", "--count", "300"];
      const load = await startProgram(lab, "client", "http-load", ...to);
      await Bun.sleep(500);
      configFile(lab, "director", config(reals[1]!));
      await sluice(lab, daemon, "reload");
      await untilEligible(lab, daemon, "web", [reals[1]!]);
      await load.gone();
      const { ok, backends } = JSON.parse(load.stdout());
      const { drops } = await serviceStatus(lab, daemon, "web");
      expect([ok, Object.keys(backends).sort()]).toEqual([300, ["real1", "real2"]]);
      expect(Object.entries(drops).filter(([, count]) => count > 0)).toEqual([]);
    });
  });
});
