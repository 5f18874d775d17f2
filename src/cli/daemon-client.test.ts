import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Finished, run } from "../runtime/child.ts";
import { type ApiServer, serveUnix } from "../runtime/http.ts";
import { adminSocketOfRoot, instancePaths } from "../system/instance.ts";

const here = import.meta.dirname;
const name = `client-${process.pid}`;
const root = process.getuid?.() === 0;

/** Asks for the status of an instance, as a user without rights whose own files are in `folder`. */
const asNobody = (folder: string): Promise<Finished> => {
  const program = `
    const { askStatus } = await import("${here}/daemon-client.ts");
    const { dropPrivileges } = await import("${here}/../runtime/privileges.ts");
    dropPrivileges();
    await askStatus("${name}");`;
  return run([process.execPath, "--no-env-file", "-e", program], { env: { XDG_RUNTIME_DIR: folder } });
};

describe.skipIf(!root)("a daemon that another user runs (needs root, to be two users)", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-client-"));
  const own = join(folder, "sluice", name);
  let servers: ApiServer[] = [];
  beforeAll(() => {
    chmodSync(folder, 0o755);
    mkdirSync(own, { recursive: true });
    mkdirSync(instancePaths(name).runDir, { recursive: true });
  });
  afterAll(() => {
    for (const server of servers) server.stop();
    rmSync(folder, { recursive: true, force: true });
    rmSync(instancePaths(name).runDir, { recursive: true, force: true });
  });
  const serve = (socket: string): void => {
    servers = [...servers, serveUnix(socket, () => new Response("{}"))];
  };
  const denied = (socket: string): Finished => ({
    code: 3,
    stdout: "",
    stderr: [
      `error SLUICE_PRIVILEGE: the daemon of instance "${name}" belongs to root, and you may not ask it (${socket}: permission denied)`,
      "  ask as root (sudo), or name an instance of your own: --instance NAME",
      "",
    ].join("\n"),
  });

  test("no daemon at all is told as such", async () => {
    expect(await asNobody(folder)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(`SLUICE_DAEMON_UNREACHABLE: no daemon answers for instance "${name}" (${own}`),
    });
  });

  test("nor does a path that is long for a socket make it another thing", async () => {
    const deep = join(folder, "d".repeat(100));
    mkdirSync(deep);
    expect((await asNobody(deep)).stderr).toContain(`no daemon answers for instance "${name}" (${deep}/`);
  });

  test("that of root is found where root's are, and not taken for none", async () => {
    serve(adminSocketOfRoot(name));
    expect(await asNobody(folder)).toEqual(denied(adminSocketOfRoot(name)));
  });

  test("a socket that is closed to us is told with its owner", async () => {
    serve(join(own, "admin.sock"));
    expect(await asNobody(folder)).toEqual(denied(join(own, "admin.sock")));
  });
});

test("a daemon that goes in the middle of its answer is told as such", async () => {
  const { runDir, adminSocket } = instancePaths(name);
  mkdirSync(runDir, { recursive: true });
  const cut = (): Response =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          controller.enqueue(new TextEncoder().encode("# HELP\n"));
          await Bun.sleep(50);
          server.stop();
        },
      }),
    );
  const server = serveUnix(adminSocket, cut);
  try {
    const asked = await run([process.execPath, "--no-env-file", join(here, "main.ts"), "metrics", "--instance", name]);
    expect(asked).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(
        /^error SLUICE_DAEMON_UNREACHABLE: the daemon has gone in the middle of its answer\n {2}.*\n$/,
      ),
    });
  } finally {
    server.stop();
    rmSync(runDir, { recursive: true, force: true });
  }
});

test("who waits long for an answer is told so, and gets it", async () => {
  const { runDir, adminSocket } = instancePaths(name);
  mkdirSync(runDir, { recursive: true });
  const server = serveUnix(adminSocket, async () => {
    await Bun.sleep(4000);
    return Response.json([]);
  });
  try {
    const asked = await run([process.execPath, "--no-env-file", join(here, "main.ts"), "events", "--instance", name]);
    expect([asked.code, asked.stderr]).toEqual([0, expect.stringMatching(/^sluice: .* has not answered yet: .*\n$/)]);
  } finally {
    server.stop();
    rmSync(runDir, { recursive: true, force: true });
  }
});
