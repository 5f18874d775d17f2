import { afterEach, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sleep } from "../runtime/clock.ts";
import { instancePaths } from "../system/instance.ts";

const main = join(import.meta.dirname, "main.ts");
const { adminSocket, runDir, name } = instancePaths(`upgrade-${process.pid}`);
let server: { stop(): void } | null = null;
afterEach(() => {
  server?.stop();
  rmSync(runDir, { recursive: true, force: true });
});

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";

/** A daemon that answers with what stands here, one after the other; null, and behind the last: it dies in the middle. */
function daemon(answers: (object | null)[]): void {
  mkdirSync(runDir, { recursive: true });
  server = Bun.listen({
    unix: adminSocket,
    socket: {
      async data(socket) {
        const answer = answers.shift() ?? null;
        const text = answer === null ? '{"pid":' : JSON.stringify(answer);
        socket.write(`${HEAD}Content-Length: ${answer === null ? 1000 : text.length}\r\n\r\n${text}`);
        await sleep(20);
        socket.end();
      },
    },
  });
}

async function run(...args: string[]): Promise<{ code: number; said: string }> {
  const child = Bun.spawn([process.execPath, main, ...args, "--instance", name], { stdout: "ignore", stderr: "pipe" });
  const said = await child.stderr.text();
  return { code: await child.exited, said };
}

test("an upgrade outlasts that the daemon which goes dies in the middle of an answer", async () => {
  mkdirSync(runDir, { recursive: true });
  const file = join(runDir, "sluice.yaml");
  writeFileSync(
    file,
    "version: 1\nservices:\n  a:\n    method: proxy\n    listen: [127.0.0.1:1]\n    backends: [127.0.0.1:2]\n",
  );
  const { pid } = process;
  daemon([{ pid: 1, file, version: "old" }, { pid }, null, { pid, version: "new", revision: 2 }]);
  expect(await run("upgrade")).toEqual({ code: 0, said: "" });
});
