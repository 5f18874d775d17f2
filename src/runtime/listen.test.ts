import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Listener } from "../core/service.ts";
import { run } from "./child.ts";
import { closeFd, makeListener, obstacleAt } from "./listen.ts";

const hintAt = (listener: Listener): string | undefined => obstacleAt(listener)?.problem.hint;

test("who holds a port that is taken is to be found", () => {
  const holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const listener: Listener = { address: "127.0.0.1", port: holder.port, protocol: "tcp" };
  expect(hintAt(listener)).toContain("ss -lntup");
  holder.stop(true);
  expect(obstacleAt(listener)).toBeNull();
  const made = makeListener(listener);
  expect(made.ok).toBe(true);
  if (made.ok) closeFd(made.value);
});

/** From where on ports are anybody's. */
const free = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));

test.skipIf(process.getuid?.() !== 0 || free <= 81)("a port that takes a right says which", async () => {
  const program = `
    const { dropPrivileges } = await import("${import.meta.dirname}/privileges.ts");
    const { obstacleAt } = await import("${import.meta.dirname}/listen.ts");
    dropPrivileges();
    console.log(JSON.stringify(obstacleAt({ address: "127.0.0.1", port: 81, protocol: "tcp" })));`;
  const { stdout } = await run([process.execPath, "--no-env-file", "-e", program]);
  const { problem } = JSON.parse(stdout);
  expect(problem).toMatchObject({ code: "SLUICE_BIND", hint: expect.stringContaining("CAP_NET_BIND_SERVICE") });
});
