/**
 * A long story of everything that may happen to a daemon at once, under load whose every byte is checked: reloads good
 * and bad, operators, backends that refuse, workers and supervisors that are killed, upgrades. CHAOS_SEED tells the same
 * story again, CHAOS_SECONDS how long it is.
 */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { fetchUnix } from "../../src/runtime/http.ts";
import { instancePaths } from "../../src/system/instance.ts";
import { ByteLoad, bodyOf } from "../lib/byte-load.ts";
import { freePort, startDaemon, type TestDaemon } from "../lib/daemon.ts";
import { DnsLoad } from "../lib/dns-load.ts";
import { below, oneOf, type Random, sequence } from "../tools/fuzz/target.ts";

const SECONDS = Number(process.env.CHAOS_SECONDS ?? 90);
const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);
/** Clients of the HTTP load: what a killed worker may have held at most. */
const CLIENTS = { kept: 4, single: 2, late: 6 };
const HELD = CLIENTS.kept + CLIENTS.single + CLIENTS.late;

/** A backend that can refuse and take up work again, on one port. */
class Backend {
  readonly port = freePort();
  #server: ReturnType<typeof Bun.serve> | null = null;

  constructor() {
    this.start();
  }

  get up(): boolean {
    return this.#server !== null;
  }

  start(): void {
    const fetch = ({ url }: Request) => new Response(bodyOf(Number(url.slice(url.lastIndexOf("/") + 1))));
    this.#server ??= Bun.serve({ hostname: "127.0.0.1", port: this.port, fetch });
  }

  /** Finishes what it has, and refuses all that is new. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    await Promise.race([server?.stop(), Bun.sleep(200)]);
  }
}

class Story {
  readonly random: Random;
  readonly backends = [new Backend(), new Backend(), new Backend(), new Backend()];
  readonly port = freePort();
  readonly dnsPort = freePort();
  readonly told: string[] = [];
  kills = 0;
  /** Workers that had become ready when the last one was killed. */
  killedAt = -1;
  daemon!: TestDaemon;
  /** The process that serves now: an upgrade makes another than the one that was started. */
  pid = 0;

  constructor(seed: number) {
    this.random = sequence(seed);
  }

  readies(): number {
    return this.daemon.said().split("READY").length;
  }

  config(): object {
    const pick = <T>(items: readonly T[]): T => oneOf(this.random, items);
    const scheduler = pick(["least-connections", "round-robin", "p2c", "p2c-ewma", "prequal", "maglev", "random"]);
    // The first backend always stays in the file and always serves.
    const backends = this.backends
      .filter((_, i) => i === 0 || this.random() < 0.8)
      .map(({ port }) => ({ address: `127.0.0.1:${port}`, weight: 1 + below(this.random, 3) }));
    const listen = [`127.0.0.1:${this.port}`, ...(this.random() < 0.3 ? [`127.0.0.1:${freePort()}`] : [])];
    const check = { tcp: true, interval: "300ms", rise: 1, fall: 2 };
    return {
      version: 1,
      workers: 1 + below(this.random, 3),
      services: {
        web: { method: "proxy", listen, scheduler, backends, check },
        names: { method: "dns", names: ["a.example.com"], backends: ["127.0.0.1:1", "127.0.0.2:1"], check: "none" },
      },
      dns: { listen: [`127.0.0.1:${this.dnsPort}`] },
    };
  }

  async sluice(...args: string[]): Promise<number> {
    const program = join(import.meta.dirname, "../../bin/sluice");
    const child = Bun.spawn([program, ...args, "--instance", this.daemon.instance], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [said] = await Promise.all([child.stderr.text(), child.stdout.text()]);
    const code = await child.exited;
    if (code > 1) {
      this.told.push(`  ${args.join(" ")} ended with ${code}: ${said}`);
      console.error(this.told.at(-1));
    }
    return code;
  }

  readonly steps: Record<string, () => Promise<void>> = {
    reload: async () => {
      await this.daemon.write(this.config());
      expect(await this.sluice("reload")).toBe(0);
    },
    "bad reload": async () => {
      await this.daemon.write({ ...this.config(), services: { web: { method: "prxy" } } });
      expect(await this.sluice("reload")).toBe(1);
    },
    "backend refuses": async () => {
      await oneOf(this.random, this.backends.slice(1)).refuse();
    },
    "backends return": async () => {
      for (const backend of this.backends) backend.start();
    },
    operator: async () => {
      const { port } = oneOf(this.random, this.backends.slice(1));
      const state = oneOf(this.random, ["drain", "maintenance", "ready", "ready"]);
      await this.sluice("set", "backend", `web/127.0.0.1:${port}`, "state", state);
    },
    "worker killed": async () => {
      const found = Bun.spawnSync(["pgrep", "-P", String(this.pid), "-f", "worker/main"]).stdout.toString();
      const pids = found.split("\n").filter(Boolean).map(Number);
      if (pids.length === 0) return;
      this.killedAt = this.readies();
      process.kill(oneOf(this.random, pids), "SIGKILL");
      this.kills++;
    },
    "supervisor killed": async () => {
      // With its only worker dead as well nobody would hold the sockets.
      for (let i = 0; i < 150 && this.readies() === this.killedAt; i++) await Bun.sleep(20);
      process.kill(this.pid, "SIGKILL");
      await Bun.sleep(below(this.random, 300));
      await this.daemon.write(this.config());
      await this.daemon.start();
      this.pid = this.daemon.pid;
    },
    upgrade: async () => {
      await this.daemon.write(this.config());
      expect(await this.sluice("upgrade")).toBe(0);
      this.pid = await servingPid(this.daemon);
    },
  };

  async step(): Promise<void> {
    const name = oneOf(this.random, Object.keys(this.steps));
    this.told.push(name);
    await this.steps[name]!();
    await Bun.sleep(below(this.random, 1500));
  }
}

async function servingPid(daemon: TestDaemon): Promise<number> {
  const response = await fetchUnix(instancePaths(daemon.instance).adminSocket, "/v1/status");
  return ((await response.json()) as { pid: number }).pid;
}

const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

test(
  `whatever happens, no request fails that no killed worker held (seed ${SEED})`,
  async () => {
    const story = new Story(SEED);
    const daemon = await startDaemon(story.config(), "chaos");
    Object.assign(story, { daemon, pid: daemon.pid });
    stops.push(async () => {
      await daemon.dispose();
      for (const backend of story.backends) await backend.refuse();
    });
    const http = new ByteLoad(story.port, CLIENTS.kept, CLIENTS.single, CLIENTS.late);
    const dns = new DnsLoad(story.dnsPort, "a.example.com", ["127.0.0.1", "127.0.0.2"]);
    let failures = 0;
    for (const end = performance.now() + SECONDS * 1000; performance.now() < end; ) {
      await story.step();
      const all = http.failures.length + dns.failures.length;
      if (all > failures)
        story.told.push(`  ${all - failures} failures: ${http.failures.at(-1)} ${dns.failures.at(-1)}`);
      failures = all;
    }
    await Promise.all([http.stop(), dns.stop()]);
    const counts = `${http.requests} requests, ${dns.questions} questions, ${story.kills} workers killed`;
    console.error(`seed ${SEED}: ${counts}: ${http.failures.length} and ${dns.failures.length} failed`);
    const context = story.told.join("\n");
    expect({ context, wrong: http.failures.filter((why) => !why.includes("cut after")) }).toEqual({
      context,
      wrong: [],
    });
    expect({ context, few: http.failures.length <= story.kills * HELD }).toEqual({ context, few: true });
    expect({ context, few: dns.failures.length <= story.kills }).toEqual({ context, few: true });
  },
  (SECONDS + 120) * 1000,
);
