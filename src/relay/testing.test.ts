import { expect, test } from "bun:test";
import { sleep } from "../runtime/clock.ts";
import { dial, RawBackend } from "./testing.ts";

test("a client that is stopped before it is connected holds no socket afterwards", async () => {
  const backend = new RawBackend(() => {});
  const end = dial(backend.port);
  end.stop();
  await end.gone();
  await sleep(20);
  expect(backend.connections.every(({ closed, ended }) => closed || ended)).toBe(true);
  backend.stop();
});
