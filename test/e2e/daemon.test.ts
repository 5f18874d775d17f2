/** The daemon itself, on loopback: revisions, workers that die, a supervisor that dies, drain. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { runSync } from "../../src/runtime/child.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { freePort, sluice, startBackend, startDaemon, type TestDaemon, uniqueName } from "../lib/daemon.ts";
import { eventually } from "../lib/lab.ts";

const backends = [startBackend("one"), startBackend("two")];
const daemons: TestDaemon[] = [];
afterAll(async () => {
  for (const daemon of daemons) await daemon.dispose();
  for (const backend of backends) backend.stop();
});

const proxyOn = (port: number, ports = backends.map((b) => b.port), more: object = {}) => ({
  version: 1,
  workers: 2,
  services: {
    web: {
      method: "proxy",
      listen: [`127.0.0.1:${port}`],
      scheduler: "round-robin",
      backends: ports.map((p) => `127.0.0.1:${p}`),
      check: { tcp: true, interval: "200ms", timeout: "100ms", rise: 1, fall: 2 },
      ...more,
    },
  },
});

async function serve(config: unknown): Promise<TestDaemon> {
  const daemon = await startDaemon(config, "daemon");
  daemons.push(daemon);
  return daemon;
}

/** One request on a connection of its own; the body, or the error's code. */
async function get(port: number, path = "/"): Promise<string> {
  try {
    return await (
      await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" }, keepalive: false })
    ).text();
  } catch (error) {
    return `failed: ${(error as { code?: string }).code ?? error}`;
  }
}

/** Who answers `count` requests: each worker has its own cursor, so a few requests may miss somebody. */
async function answering(port: number, count = 12): Promise<string[]> {
  return [...new Set(await Promise.all(Array.from({ length: count }, () => get(port))))].sort();
}

/** Requests one after the other while `during` runs; returns what was not served. */
async function failuresWhile(port: number, during: () => Promise<void>): Promise<string[]> {
  let going = true;
  const failures: string[] = [];
  const client = async () => {
    while (going) {
      const body = await get(port);
      if (body !== "one" && body !== "two") failures.push(body);
    }
  };
  const clients = Promise.all([client(), client(), client()]);
  await during();
  going = false;
  await clients;
  return failures;
}

test("a service is served, counted and shown", async () => {
  const port = freePort();
  const daemon = await serve(proxyOn(port));
  expect(await answering(port)).toEqual(["one", "two"]);
  const status = daemon.status();
  expect(status.schema).toBe("sluice.status/v1");
  expect(status.services[0]).toMatchObject({ name: "web", method: "proxy", state: "serving" });
  expect(status.services[0]!.counts.requests).toBe(12);
  expect(status.services[0]!.counts.packetsIn).toBeNull();
  expect(status.services[0]!.backends.map(({ state, share }) => [state, share])).toEqual([
    ["up", 0.5],
    ["up", 0.5],
  ]);
  expect(sluice("metrics", "--instance", daemon.instance).stdout).toContain('method="proxy"');
});

test("a bad revision changes nothing and says so; a good one loses no request", async () => {
  const port = freePort();
  const daemon = await serve(proxyOn(port));
  await daemon.write({ ...proxyOn(port), servcies: {} });
  const refused = daemon.reload();
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("SLUICE_CONFIG_KEY");
  expect(refused.stderr).toContain("the running configuration stays");
  const failures = await failuresWhile(port, async () => {
    // A listener more is a new generation of workers; a backend less is only a snapshot.
    for (const next of [
      proxyOn(port, undefined, { listen: [`127.0.0.1:${port}`, `127.0.0.1:${freePort()}`] }),
      proxyOn(port, [backends[0]!.port]),
    ]) {
      await daemon.write(next);
      expect(daemon.reload().code).toBe(0);
      await Bun.sleep(300);
    }
  });
  expect(failures).toEqual([]);
  expect(await get(port)).toBe("one");
});

test("a death while a revision is being prepared is not forgotten by it", async () => {
  const port = freePort();
  const mortal = startBackend("mortal");
  const ports = [backends[0]!.port, mortal.port];
  const check = { tcp: true, interval: "20ms", timeout: "2s", rise: 1, fall: 1 };
  const daemon = await serve(proxyOn(port, ports, { check }));
  // Another listener: new workers, whose start is the time that a verdict can fall into.
  await daemon.write(proxyOn(port, ports, { check, listen: [`127.0.0.1:${port}`, `127.0.0.1:${freePort()}`] }));
  const reload = Bun.spawn(["bin/sluice", "reload", "--instance", daemon.instance], { stdout: "ignore" });
  while (daemon.said().split("READY").length < 4 && reload.exitCode === null) await Bun.sleep(1);
  mortal.stop();
  expect(await reload.exited).toBe(0);
  await Bun.sleep(300);
  const deaths = daemon
    .said()
    .split("\n")
    .filter((line) => line.includes(`${mortal.port} DOWN`));
  expect(deaths.length).toBe(1);
});

test("a daemon that ends has told the end of every worker", async () => {
  const daemon = await serve(proxyOn(freePort()));
  const workers = [...daemon.said().matchAll(/worker (\d+) READY/g)].map(([, pid]) => pid!);
  expect(workers.length).toBeGreaterThan(0);
  await daemon.kill("SIGTERM");
  await eventually("every worker EXITED", () => workers.every((pid) => daemon.said().includes(`worker ${pid} EXITED`)));
});

test("a listener that is taken refuses the whole revision", async () => {
  const port = freePort();
  const daemon = await serve(proxyOn(port));
  const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  await daemon.write(proxyOn(port, undefined, { listen: [`127.0.0.1:${taken.port}`] }));
  const diff = sluice("diff", "-c", daemon.file, "--instance", daemon.instance);
  expect(diff.stdout).toBe("web  changed (new workers; the old ones drain): listen\n");
  const refused = daemon.reload();
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^\/.*sluice.*:\d+:\d+ {2}services\.web\.listen\.0 {2}error SLUICE_BIND\n/);
  expect(refused.stderr).toContain("^ 127.0.0.1:");
  expect(sluice("events", "--instance", daemon.instance).stdout).toContain(
    "REFUSED — 1 problem: service web: SLUICE_BIND",
  );
  expect(["one", "two"]).toContain(await get(port));
  taken.stop(true);
});

test("at start a service that cannot bind is left out, said, and served once it can", async () => {
  const [good, bad] = [freePort(), Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })];
  const config = proxyOn(good);
  const blocked = { ...config.services.web, listen: [`127.0.0.1:${bad.port}`] };
  const daemon = await serve({ ...config, services: { ...config.services, blocked } });
  expect(["one", "two"]).toContain(await get(good));
  expect(daemon.status().services.find(({ name }) => name === "blocked")).toMatchObject({ state: "failed" });
  // It is tried again after one second and after two more: an attempt in vain is no new revision.
  const { revision } = daemon.status();
  await Bun.sleep(3500);
  expect(daemon.status().revision).toEqual(revision);
  const { port } = bad;
  bad.stop(true);
  for (let i = 0; i < 60 && daemon.status().services.some(({ state }) => state === "failed"); i++) await Bun.sleep(100);
  expect(["one", "two"]).toContain(await get(port));
});

test("what failed at start outlives a refused reload and is forgotten by one that drops it", async () => {
  const taken = [0, 1].map(() => Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }));
  const config = proxyOn(freePort());
  const [first, second] = taken.map(({ port }) => ({ ...config.services.web, listen: [`127.0.0.1:${port}`] }));
  const both = { ...config, services: { ...config.services, first, second } };
  const daemon = await serve(both);
  const failed = () => daemon.status().services.flatMap(({ name, state }) => (state === "failed" ? [name] : []));
  expect(failed().sort()).toEqual(["first", "second"]);
  expect(daemon.reload().code).toBe(1);
  taken[0]!.stop(true);
  for (let i = 0; i < 80 && failed().includes("first"); i++) await Bun.sleep(100);
  expect(failed()).toEqual(["second"]);
  await daemon.write({ ...config, services: { ...config.services, first } });
  expect(daemon.reload().code).toBe(0);
  expect(daemon.status().services.map(({ name, state }) => `${name} ${state}`)).toEqual([
    "web serving",
    "first serving",
  ]);
  taken[1]!.stop(true);
});

test("SIGTERM lets a download finish, then ends and leaves nothing", async () => {
  const port = freePort();
  const daemon = await serve(proxyOn(port, [backends[0]!.port]));
  const download = get(port, "/slow");
  await Bun.sleep(300);
  await daemon.kill("SIGTERM");
  expect(await download).toBe(Array.from({ length: 10 }, (_, i) => `one${i}`).join(""));
  expect(sluice("status", "--instance", daemon.instance).code).toBe(3);
});

test("a drained backend gets nothing new until it is ready again", async () => {
  const port = freePort();
  const daemon = await serve(proxyOn(port));
  const name = `web/127.0.0.1:${backends[0]!.port}`;
  expect(sluice("set", "backend", name, "state", "drain", "--instance", daemon.instance).code).toBe(0);
  await Bun.sleep(100);
  expect(await answering(port)).toEqual(["two"]);
  expect(daemon.status().services[0]!.backends[0]!.state).toBe("draining");
  sluice("set", "backend", name, "state", "ready", "--instance", daemon.instance);
  await Bun.sleep(100);
  expect(await answering(port)).toEqual(["one", "two"]);
});

test("an operator's words by tag outlive the daemon, show in the status, and end by themselves", async () => {
  const port = freePort();
  const written = proxyOn(port);
  written.services.web.backends = backends.map((b, i) => ({
    address: `127.0.0.1:${b.port}`,
    tags: [`site${i}`],
  })) as never;
  const daemon = await serve(written);
  const set = (...words: string[]) => sluice("set", ...words, "--instance", daemon.instance);
  expect(set("tag", "nowhere", "state", "drain").stderr).toContain("no backend has the tag nowhere");
  expect(set("tag", "site0", "state", "drain", "for", "0s").code).toBe(2);
  const said = set("tag", "site0", "state", "drain", "for", "10m", "--service", "web");
  expect(said.stderr).toContain(`web/127.0.0.1:${backends[0]!.port}: state drain for 10m`);
  const end = Date.now() + 600_000;
  await daemon.kill("SIGKILL");
  await daemon.start();
  const first = () => daemon.status().services[0]!.backends[0]!;
  expect(first()).toMatchObject({ state: "draining", operator: [{ what: "state", is: "drain" }] });
  expect(first().operator![0]!.until).toBeWithin(end - 30_000, end + 1);
  expect(await answering(port)).toEqual(["two"]);
  set("tag", "site0", "state", "drain", "for", "1s");
  for (let i = 0; i < 100 && first().operator; i++) await Bun.sleep(200);
  expect(await answering(port)).toEqual(["one", "two"]);
});

test("the soft limit of open files is raised to the hard one", async () => {
  const daemon = await startDaemon(proxyOn(freePort()), "limits", ["prlimit", "--nofile=1024:4096"]);
  daemons.push(daemon);
  expect(readFileSync(`/proc/${daemon.pid}/limits`, "utf8")).toMatch(/^Max open files\s+4096\s+4096/m);
});

test("a limit that leaves no room for the sockets is told as such, and a start that is refused leaves nothing", () => {
  const [instance, file] = [uniqueName("limits"), `/tmp/sluice-limits-${process.pid}.yaml`];
  writeFileSync(file, JSON.stringify(proxyOn(freePort())));
  const command = ["prlimit", "--nofile=100:100", sluiceCommand, "run", "-c", file, "--instance", instance];
  const { code, stderr } = runSync(command);
  rmSync(file);
  expect([code, stderr]).toEqual([
    4,
    expect.stringMatching(/100 open files are too few: [^\n]* need 129\n {2}Raise the/),
  ]);
  expect(existsSync(instancePaths(instance).runDir)).toBe(false);
});

test("an instance has one daemon", async () => {
  const port = freePort();
  const daemon = await serve(proxyOn(port));
  const second = sluice("run", "-c", daemon.file, "--instance", daemon.instance);
  expect(second.code).toBe(2);
  expect(second.stderr).toContain("SLUICE_INSTANCE_BUSY");
});

test("with JSON logs every line is JSON", async () => {
  const port = freePort();
  const daemon = await serve({ ...proxyOn(port), workers: 1, log: { level: "debug", format: "json" } });
  for (let i = 0; i < 5; i++) {
    await daemon.write({ ...proxyOn(port), log: { level: i % 2 ? "info" : "debug", format: "json" } });
    expect(daemon.reload().code).toBe(0);
  }
  const lines = daemon.said().trim().split("\n");
  const logged = lines.map((line) => JSON.parse(line) as { time: string; level: string; message: string });
  expect(logged.every(({ time, level, message }) => Date.parse(time) > 0 && level !== "" && message !== "")).toBe(true);
  expect(logged.some(({ message }) => message === "serving")).toBe(true);
});

test("a start that is refused leaves no trace of its instance", async () => {
  const daemon = await serve(proxyOn(freePort()));
  const instance = uniqueName("refused");
  await daemon.write({ version: 1 });
  expect(sluice("run", "-c", daemon.file, "--instance", instance).code).toBe(1);
  expect(existsSync(instancePaths(instance).runDir)).toBe(false);
});

test.skipIf(process.getuid?.() !== 0)("what parses strangers' bytes is nobody, and can do nothing more", async () => {
  const daemon = await serve(proxyOn(freePort()));
  while (!daemon.status().spare) await Bun.sleep(100);
  const children = Bun.spawnSync(["pgrep", "-P", String(daemon.pid)])
    .stdout.toString()
    .trim()
    .split("\n");
  // Two workers, the spare and a checker.
  expect(children.length).toBe(4);
  for (const pid of children) {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1]?.split(/\s+/);
    expect([field("Uid"), field("Gid"), field("NoNewPrivs")]).toEqual([
      Array(4).fill("65534"),
      Array(4).fill("65534"),
      ["1"],
    ]);
    for (const set of ["CapEff", "CapPrm", "CapInh", "CapAmb"]) expect(field(set)).toEqual(["0000000000000000"]);
  }
});
