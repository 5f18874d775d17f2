/** What `services`, `backends` and `top` show of a daemon that serves. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { freePort, sluice, startBackend, startDaemon, type TestDaemon } from "../lib/daemon.ts";

const port = freePort();
const dead = `127.0.0.1:${freePort()}`;
const backend = startBackend("one");
const alive = `127.0.0.1:${backend.port}`;
let daemon: TestDaemon;

beforeAll(async () => {
  const check = { tcp: true, interval: "100ms", rise: 1, fall: 1 };
  daemon = await startDaemon({
    version: 1,
    services: {
      web: { method: "proxy", listen: [`127.0.0.1:${port}`], backends: [alive, dead], check },
      none: { method: "redirect", listen: [`127.0.0.1:${freePort()}`], backends: [dead], check },
    },
  });
});

afterAll(async () => {
  await daemon.dispose();
  backend.stop();
});

const ask = (...words: string[]) => sluice(...words, "--instance", daemon.instance);

test("services and backends, a line each, as text and as JSON", () => {
  const words = (text: string) => text.split("\n").map((line) => line.split(/\s+/).slice(0, 4).join(" "));
  expect(words(ask("services").stdout)).toEqual([
    "SERVICE METHOD STATE ELIGIBLE",
    "web proxy serving 1/2",
    "none redirect empty 0/1",
    "",
  ]);
  const { services } = JSON.parse(ask("services", "--json").stdout);
  expect(services.map((s: { name: string; eligible: number }) => [s.name, s.eligible])).toEqual([
    ["web", 1],
    ["none", 0],
  ]);
  expect(words(ask("backends", "web").stdout)).toEqual([
    "SERVICE BACKEND STATE WEIGHT",
    `web ${alive} up 1`,
    `web ${dead} down 1`,
    "",
  ]);
  const down = JSON.parse(ask("backends", "--state", "down", "--json").stdout);
  expect(down.backends.map((b: { service: string; name: string }) => [b.service, b.name])).toEqual([
    ["web", dead],
    ["none", dead],
  ]);
});

test("a service that there is not is said, with the closest", () => {
  const { code, stderr } = ask("backends", "wed");
  expect([code, stderr]).toEqual([2, 'error: there is no service "wed"; did you mean "web"?\n']);
});

/** What `sluice top` prints while requests come. */
async function topWhileAsked(...more: string[]): Promise<string> {
  const sluice = join(import.meta.dirname, "../../bin/sluice");
  const words = ["top", ...more, "--instance", daemon.instance];
  const look = Bun.spawn([sluice, ...words], { stdout: "pipe", stderr: "inherit" });
  let on = true;
  void look.exited.then(() => {
    on = false;
  });
  while (on) await (await fetch(`http://127.0.0.1:${port}/`)).text();
  expect(await look.exited).toBe(0);
  return look.stdout.text();
}

test("top shows what has been done between two looks", async () => {
  const second = (await topWhileAsked("--count", "2")).split("\n\n").at(-1)!;
  const rows = second.split("\n").map((line) => line.trim().split(/\s+/));
  expect(rows[0]!.slice(0, 2)).toEqual(["SERVICE", "BACKEND"]);
  expect(rows[1]![0]).toBe("web");
  expect(rows[2]!.slice(0, 2)).toEqual([alive, "up"]);
  expect(rows[2]![4]).toBe("100.0%");
});

test("top says it as JSON, a line for each look", async () => {
  const lines = (await topWhileAsked("--count", "2", "--json")).trimEnd().split("\n");
  const looks = lines.map((line) => JSON.parse(line));
  expect(looks.map(({ schema }) => schema)).toEqual(["sluice.top/v1", "sluice.top/v1"]);
  expect(looks[1].at).toBeGreaterThan(looks[0].at);
  const [web, first] = looks[1].rates;
  expect([web.service, web.backend, first.backend, first.part]).toEqual(["web", null, alive, 1]);
  expect(web.work).toBeGreaterThan(0);
});
