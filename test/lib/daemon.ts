import { join } from "node:path";
import type { Subprocess } from "bun";
import type { StatusModel } from "../../src/observe/status.ts";

const root = join(import.meta.dirname, "../..");
const command = join(root, "bin/sluice");
let counter = 0;
/** ms that a daemon's start may take: where all tests want the same cores, many times what it needs. */
const START_LIMIT = 60_000;

/** A name that no other test has. */
export const uniqueName = (hint: string): string => `${hint}-${process.pid}-${++counter}`;

/** Runs the sluice command to its end. */
export function sluice(...args: string[]): { code: number; stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([command, ...args], { timeout: 30_000 });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** A daemon on loopback, with its own instance and configuration file. */
export interface TestDaemon {
  instance: string;
  file: string;
  pid: number;
  /** All it has said so far. */
  said(): string;
  status(): StatusModel;
  write(config: unknown): Promise<void>;
  reload(): ReturnType<typeof sluice>;
  /** The same without holding up this process, which may be somebody's client. Its exit code. */
  reloadBeside(): Promise<number>;
  /** Starts it again after `kill("SIGKILL")`. */
  start(...args: string[]): Promise<void>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Ends it, however it stands, and whoever has taken its place by an upgrade; removes what is left. */
  dispose(): Promise<void>;
}

/** Starts `sluice run` with a configuration (an object: JSON is YAML) and waits until it serves. `under` runs it by another program that becomes it. */
export async function startDaemon(config: unknown, hint = "test", under: string[] = []): Promise<TestDaemon> {
  const instance = uniqueName(hint);
  const file = join("/tmp", `sluice-${instance}.yaml`);
  let child: Subprocess<"ignore", "ignore", "pipe">;
  let said = "";
  const daemon: TestDaemon = {
    instance,
    file,
    pid: 0,
    said: () => said,
    status: () => JSON.parse(sluice("status", "--json", "--instance", instance).stdout) as StatusModel,
    write: async (next) => void (await Bun.write(file, JSON.stringify(next, null, 2))),
    reload: () => sluice("reload", "--instance", instance),
    reloadBeside: () =>
      Bun.spawn([command, "reload", "--instance", instance], { stdout: "ignore", stderr: "ignore" }).exited,
    async start(...args) {
      child = Bun.spawn([...under, command, "run", "-c", file, "--instance", instance, ...args], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      });
      daemon.pid = child.pid;
      const from = said.length;
      void (async () => {
        for await (const chunk of child.stderr) said += Buffer.from(chunk).toString();
      })();
      for (let waited = 0; !/sluice: serving|"message":"serving"/.test(said.slice(from)); waited += 50) {
        if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}:\n${said}`);
        if (waited >= START_LIMIT) throw new Error(`the daemon does not serve after ${START_LIMIT} ms:\n${said}`);
        await Bun.sleep(50);
      }
    },
    async kill(signal) {
      child.kill(signal);
      await child.exited;
    },
    async dispose() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await Promise.race([child.exited, Bun.sleep(5000)]);
        child.kill("SIGKILL");
      }
      await endDaemons(instance);
      sluice("down", "--force", "--instance", instance);
      Bun.spawnSync(["rm", "-f", file]);
    },
  };
  await daemon.write(config);
  await daemon.start();
  return daemon;
}

/** Ends the daemons of an instance that an upgrade has started, whole or half-way: they are no children of ours. */
async function endDaemons(instance: string): Promise<void> {
  const alive = (): number[] => {
    const found = Bun.spawnSync(["pgrep", "-f", `cli/main.ts run .*--instance ${instance}( |$)`]).stdout.toString();
    return found.split("\n").filter(Boolean).map(Number);
  };
  for (const pid of alive()) end(pid, "SIGTERM");
  for (let i = 0; i < 100 && alive().length > 0; i++) await Bun.sleep(50);
  for (const pid of alive()) end(pid, "SIGKILL");
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended by itself.
  }
}

/** A port on loopback that was free a moment ago. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

/** An HTTP backend that answers its own name; `/slow` drips a known body over a second. */
export function startBackend(name: string, port = 0): { port: number; stop(): void; requests(): number } {
  let requests = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    async fetch(request) {
      requests++;
      if (!request.url.endsWith("/slow")) return new Response(name);
      const parts = Array.from({ length: 10 }, (_, i) => `${name}${i}`);
      return new Response(
        new ReadableStream({
          async start(controller) {
            for (const part of parts) {
              controller.enqueue(part);
              await Bun.sleep(100);
            }
            controller.close();
          },
        }),
      );
    },
  });
  return { port: server.port!, stop: () => void server.stop(true), requests: () => requests };
}
