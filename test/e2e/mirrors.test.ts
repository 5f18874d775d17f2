/** A mirror network through a daemon: unprivileged workers ask, choose and count; the operator sees what is wanted. */
import { expect, test } from "bun:test";
import { freePort, sluice, startDaemon } from "../lib/daemon.ts";

/** A mirror with these files, by size. */
function mirror(files: Record<string, number>) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const size = files[new URL(request.url).pathname];
      if (size === undefined) return new Response("", { status: 404 });
      return new Response("x".repeat(size), { headers: { "last-modified": "Wed, 01 Jan 2025 00:00:00 GMT" } });
    },
  });
  return { port: server.port!, stop: () => server.stop(true) };
}

test("clients end up with the right file, and the daemon knows which files are wanted", async () => {
  const origin = mirror({ "/a.iso": 2000, "/b.iso": 10 });
  const stale = mirror({ "/a.iso": 1000 });
  const whole = mirror({ "/a.iso": 2000 });
  const port = freePort();
  const at = ({ port: number }: { port: number }): string => `127.0.0.1:${number}`;
  const daemon = await startDaemon(
    {
      version: 1,
      workers: 2,
      services: {
        files: {
          method: "redirect",
          listen: [`127.0.0.1:${port}`],
          backends: [at(stale), at(whole)],
          redirect: { mirrors: { reference: at(origin), fallback: `http://${at(origin)}`, wait: "5s" } },
        },
      },
    },
    "mirrors",
  );
  try {
    const url = `http://127.0.0.1:${port}`;
    const sizes: number[] = [];
    const from = new Set<string>();
    for (let i = 0; i < 12; i++) {
      const got = await fetch(`${url}/a.iso`);
      sizes.push((await got.text()).length);
      from.add(new URL(got.url).host);
    }
    expect(sizes).toEqual(Array(12).fill(2000));
    expect([...from]).toEqual([at(whole)]);
    expect((await (await fetch(`${url}/b.iso`)).text()).length).toBe(10);
    expect((await fetch(`${url}/none`, { redirect: "manual" })).headers.get("location")).toBe(
      `http://${at(origin)}/none`,
    );
    expect(await (await fetch(`${url}/a.iso?mirrorlist`)).text()).toBe(`http://${at(whole)}/a.iso\n`);
    const asked = (...more: string[]) => sluice("files", "files", "--instance", daemon.instance, ...more);
    for (let i = 0; i < 100 && !asked().stdout.includes("/b.iso"); i++) await Bun.sleep(100);
    const { files } = JSON.parse(asked("--top", "2", "--json").stdout);
    expect(files[0]).toEqual({ name: "/a.iso", count: 13, over: 0 });
    expect(files.length).toBe(2);
    expect(asked().stdout).toMatch(/^ +13 {2}\/a\.iso\n/);
    expect(sluice("files", "other", "--instance", daemon.instance).code).toBe(2);
  } finally {
    await daemon.dispose();
    for (const one of [origin, stale, whole]) one.stop();
  }
});
