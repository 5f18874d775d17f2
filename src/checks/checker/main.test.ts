import { expect, test } from "bun:test";
import type { FromChecker, ToChecker } from "../../core/worker-protocol.ts";
import { spawnChild } from "../../runtime/child.ts";
import { listenTcp } from "../../runtime/tcp.ts";

test("the checker probes what it is told, as a child without rights, and ends when asked", async () => {
  const server = listenTcp("127.0.0.1", 0, { data() {} }, () => undefined);
  const messages: FromChecker[] = [];
  const waiting: (() => void)[] = [];
  const heard = async (done: (all: FromChecker[]) => boolean): Promise<void> => {
    while (!done(messages)) await new Promise<void>((resolve) => void waiting.push(resolve));
  };
  const child = spawnChild<ToChecker, FromChecker>({
    program: new URL("./main.ts", import.meta.url).pathname,
    unprivileged: true,
    onMessage(message) {
      messages.push(message);
      for (const wake of waiting.splice(0)) wake();
    },
    onExit() {},
  });
  await heard((all) => all.some((message) => message.kind === "ready"));
  const check = { kind: "tcp", options: {}, interval: 50, timeout: 1000, rise: 1, fall: 1 };
  const target = { address: "127.0.0.1", port: server.port };
  child.send({ kind: "jobs", jobs: [{ key: "web/1", check, target }] });
  const verdicts = () => messages.flatMap((message) => (message.kind === "verdicts" ? message.verdicts : []));
  await heard(() => verdicts().some(([, verdict]) => verdict.passed));
  server.stop();
  await heard(() => verdicts().some(([, verdict]) => verdict.code === "SLUICE_CHECK_REFUSED"));
  expect(verdicts().every(([key]) => key === "web/1")).toBe(true);
  child.kill("SIGTERM");
  await child.exited;
});
