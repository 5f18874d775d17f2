/** Backends that say how they are, through the whole daemon, under several methods at once. */
import { expect, test } from "bun:test";
import { createServer } from "node:net";
import type { BackendStatus } from "../../src/observe/status.ts";
import { freePort, sluice, startBackend, startDaemon, type TestDaemon } from "../lib/daemon.ts";

async function untilSeen(daemon: TestDaemon, seen: (backends: BackendStatus[]) => boolean): Promise<void> {
  for (let i = 0; i < 50; i++) {
    if (daemon.status().services.every(({ backends }) => seen(backends))) return;
    await Bun.sleep(100);
  }
  throw new Error(JSON.stringify(daemon.status().services, null, 1));
}

test("an agent's words reach every service of its backend, status, metrics and events", async () => {
  let line = "up ready 50% load:0.25 maxconn:9\n";
  const agent = createServer((socket) => void socket.on("error", () => {}).end(line));
  await new Promise<void>((resolve) => agent.listen(0, "127.0.0.1", resolve));
  const backend = startBackend("one");
  const [proxy, redirect, name] = [freePort(), freePort(), freePort()];
  const shared = {
    backends: [`127.0.0.1:${backend.port}`],
    check: "none",
    agent: { port: (agent.address() as { port: number }).port, interval: "200ms", timeout: "10s" },
  };
  const daemon = await startDaemon({
    version: 1,
    workers: 1,
    services: {
      web: { method: "proxy", listen: [`127.0.0.1:${proxy}`], ...shared },
      files: { method: "redirect", listen: [`127.0.0.1:${redirect}`], scheduler: "least-connections", ...shared },
      names: { method: "dns", names: ["a.example"], scheduler: "least-connections", ...shared },
    },
    dns: { listen: [`127.0.0.1:${name}`] },
  });
  try {
    await untilSeen(daemon, ([b]) => b!.weight === 0.5 && b!.load === 0.25 && b!.limit === 9 && b!.eligible);
    line = "drain #backup runs\n";
    await untilSeen(daemon, ([b]) => b!.state === "draining" && !b!.eligible && b!.weight === 0.5);
    expect((await fetch(`http://127.0.0.1:${proxy}/`)).status).toBe(503);
    const metrics = sluice("metrics", "--instance", daemon.instance).stdout;
    expect(metrics).toContain(`sluice_backend_load_ratio{service="names",backend="127.0.0.1:${backend.port}"} 0.25`);
    expect(metrics).toContain(
      `sluice_backend_agent_weight_ratio{service="web",backend="127.0.0.1:${backend.port}"} 0.5`,
    );
    expect(daemon.status().services[0]!.backends[0]!.agent!.detail).toBe("drain (backup runs)");
    line = "ready stopped\n";
    await untilSeen(daemon, ([b]) => b!.state === "down");
    line = "up 100%\n";
    await untilSeen(daemon, ([b]) => b!.state === "unchecked" && b!.weight === 1);
    expect(await (await fetch(`http://127.0.0.1:${proxy}/`)).text()).toBe("one");
    agent.close();
    await untilSeen(daemon, ([b]) => b!.agent?.code === "SLUICE_CHECK_REFUSED" && b!.eligible);
    const events = sluice("events", "--json", "--instance", daemon.instance).stdout;
    expect(events).toContain("agent says drain (backup runs)");
    expect(events).toContain("SLUICE_AGENT");
  } finally {
    await daemon.dispose();
    backend.stop();
    agent.close();
  }
});
