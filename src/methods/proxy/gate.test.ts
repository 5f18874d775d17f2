import { describe, expect, test } from "bun:test";
import { FULL, Gate } from "../../relay/gate.ts";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, answering, deadPort, type End } from "../../relay/testing.ts";
import type { Wheel } from "../../relay/wheel.ts";
import { proxy } from "./index.ts";

const { raw, serve, client } = httpStage(proxy);

const OK = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
const ILL = "HTTP/1.1 503 Service Unavailable\r\nDate: x\r\nContent-Length: 3\r\n\r\nill";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

async function until(seen: () => boolean): Promise<void> {
  for (let i = 0; i < 250 && !seen(); i++) await Bun.sleep(20);
  expect(seen()).toBe(true);
}

describe("a limit per backend", () => {
  const one = { limits: { backend: 1 } };

  test("a request beyond it waits, body and all, and goes when a place is free", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)], one);
    const first = client(served).send(GET);
    const upstream = await backend.connection(0);
    await upstream.has("\r\n\r\n");
    const second = client(served).send(POST);
    await until(() => served.count("-1/queued") === 1);
    expect(served.count("0/active")).toBe(1);
    upstream.send(OK);
    await first.has("ok");
    await upstream.has("hello");
    upstream.send(OK);
    await second.has("ok");
    expect(["-1/queued", "0/active", "-1/active"].map(served.count)).toEqual([0, 0, 0]);
    expect(backend.connections.length).toBe(1);
  });

  test("another backend that has room is taken instead", async () => {
    const silent = raw(() => {});
    const living = raw(answering(OK));
    const served = await serve([aBackend(0, silent.port), aBackend(1, living.port)], one);
    client(served).send(GET);
    client(served).send(GET);
    await silent.connection(0);
    for (let i = 0; i < 4; i++) await client(served).send(GET).has("ok");
    expect(served.count("-1/queued")).toBe(0);
  });

  test("a request whose backend refuses the connection waits for one that is at its limit", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, deadPort()), aBackend(1, backend.port)], one);
    const first = client(served).send(GET);
    const upstream = await backend.connection(0);
    await upstream.has("\r\n\r\n");
    const second = client(served).send(POST);
    await until(() => served.count("-1/queued") === 1);
    upstream.send(OK);
    await first.has("ok");
    await upstream.has("hello");
    upstream.send(OK);
    await second.has("ok");
    expect(["-1/queued", "0/active", "1/active", "-1/active"].map(served.count)).toEqual([0, 0, 0, 0]);
  });

  test("and holds up nobody who can go elsewhere", async () => {
    let closes = true;
    const flapping = raw((end) => (closes ? end.stop() : answering(OK)(end)));
    const busy = raw(() => {});
    const served = await serve([aBackend(0, flapping.port), aBackend(1, busy.port)], one);
    const held = client(served).send(GET);
    await busy.connection(0);
    const waiting = client(served).send(GET);
    await until(() => served.count("-1/queued") === 1);
    closes = false;
    for (let i = 0; i < 3; i++) {
      const end = client(served).send(GET);
      await end.has("ok");
      end.stop();
    }
    expect([held.got, waiting.got, served.count("-1/queued")]).toEqual(["", "", 1]);
  });

  test("a full queue: 503 SLUICE_QUEUE_FULL with Retry-After", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)], { ...one, queue: { size: 0 } });
    client(served).send(GET);
    await backend.connection(0);
    const got = await client(served).send(GET).gone();
    expect(got).toStartWith("HTTP/1.1 503 ");
    expect(got).toContain("Sluice-Reason: SLUICE_QUEUE_FULL\r\nRetry-After: 1\r\n");
  });

  test("the queue is one for all workers: what waits at others counts", () => {
    const rules = { perBackend: 1, queueSize: 2, queueTimeout: 1, retryShare: 0.2, retryLeast: 3 };
    let elsewhere = 2;
    const cells = { add() {}, activeEverywhere: () => 1, queuedEverywhere: () => elsewhere };
    const gate = new Gate(rules, cells, { set() {} } as unknown as Wheel);
    const waiter = { owner: 1, again: false, seek: () => FULL, proceed() {} };
    expect(gate.enqueue(waiter)).toBe(false);
    elsewhere = 1;
    expect(gate.enqueue(waiter)).toBe(true);
  });

  test("its time is up: 503 SLUICE_QUEUE_TIMEOUT with Retry-After", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)], { ...one, queue: { timeout: "100ms" } });
    client(served).send(GET);
    await backend.connection(0);
    const got = await client(served).send(GET).gone();
    expect(got).toContain("Sluice-Reason: SLUICE_QUEUE_TIMEOUT\r\nRetry-After: 1\r\n");
    expect(["-1/queued", "0/active", "-1/active"].map(served.count)).toEqual([0, 1, 1]);
  });

  test("a client that leaves gives its place up", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)], one);
    client(served).send(GET);
    await backend.connection(0);
    const leaving = client(served).send(GET);
    await until(() => served.count("-1/queued") === 1);
    leaving.stop();
    await until(() => served.count("-1/queued") === 0);
    expect(served.count("-1/active")).toBe(1);
  });

  for (const [what, given] of [
    ["the configured one", one],
    ["none", {}],
  ] as const)
    test(`a limit that the backend reports stands for ${what}, for the whole service and for a tag`, async () => {
      const backend = raw(() => {});
      const routes = [{ prefix: "/tagged", to: "t" }];
      const served = await serve([{ ...aBackend(0, backend.port), tags: ["t"] }], { ...given, routes });
      served.change(0, { limit: 2 });
      for (const end of [client(served), client(served)]) end.send(GET);
      await backend.connection(1);
      const waiting = [client(served).send(GET), client(served).send(GET.replace("/", "/tagged"))];
      await until(() => served.count("-1/queued") === 2);
      served.change(0, { limit: 4 });
      await backend.connection(3);
      expect(served.count("0/active")).toBe(4);
      expect(waiting.map(({ got }) => got)).toEqual(["", ""]);
    });

  test("those that wait when the last backend goes are told", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)], one);
    client(served).send(POST);
    await backend.connection(0);
    const waiting = client(served).send(GET);
    await until(() => served.count("-1/queued") === 1);
    served.change(0, { state: "draining" });
    expect(await waiting.gone()).toContain("SLUICE_NO_BACKEND");
  });
});

test("repeats may be 20 % of what is under way, or the least number", () => {
  const rules = { perBackend: 1, queueSize: 0, queueTimeout: 1, retryShare: 0.2, retryLeast: 3 };
  const gate = new Gate(rules, { add() {}, activeEverywhere: () => 0, queuedEverywhere: () => 0 }, {} as Wheel);
  const allowed = (active: number): number => {
    gate.active = active;
    for (gate.repeats = 0; gate.mayRepeat(); gate.repeats++);
    return gate.repeats;
  };
  expect([0, 10, 15, 16, 100, 1000].map(allowed)).toEqual([3, 3, 3, 4, 20, 200]);
});

describe("the retry budget", () => {
  const dying = () => raw((end) => end.stop());

  test("without one, a request that was sent is not sent again", async () => {
    const backends = [aBackend(0, dying().port), aBackend(1, dying().port)];
    const served = await serve(backends, { retryBudget: { percent: 0, least: 0 } });
    expect(await client(served).send(GET).gone()).toContain("SLUICE_BACKEND_CLOSED");
    expect(served.count("-1/retries")).toBe(0);
  });

  test("repeats come back to it when they are over", async () => {
    const backends = [aBackend(0, dying().port), aBackend(1, raw(answering(OK)).port)];
    const served = await serve(backends, { retryBudget: { percent: 0, least: 1 } });
    for (let i = 0; i < 6; i++) await client(served).send(GET).has("ok");
    expect(served.count("-1/retries")).toBeGreaterThan(1);
  });
});

describe("statuses of a backend", () => {
  test("retryOn sends an idempotent request to another; a POST gets what there was", async () => {
    const ill = raw((end) => end.send(ILL));
    const served = await serve([aBackend(0, ill.port), aBackend(1, raw((end) => end.send(OK)).port)], {
      retryOn: [503],
    });
    for (let i = 0; i < 4; i++) await client(served).send(GET).has("ok");
    expect(served.count("-1/retries")).toBeGreaterThan(1);
    const posts = [client(served), client(served)].map((end) => end.send(POST));
    await until(() => posts.some(({ got }) => got.includes("ill")));
  });

  test("with nobody else, the answer passes as it is", async () => {
    const ill = raw((end) => end.send(ILL));
    const served = await serve([aBackend(0, ill.port)], { retryOn: [503] });
    await client(served).send(GET).has("ill");
    expect(served.count("-1/retries")).toBe(0);
  });

  test("with all others at their limit, the answer passes as it is", async () => {
    const busy = raw(() => {});
    const ill = raw((end) => end.send(ILL));
    const served = await serve([aBackend(0, busy.port), aBackend(1, ill.port)], {
      retryOn: [503],
      limits: { backend: 1 },
    });
    client(served).send(GET);
    await busy.connection(0);
    // The first may have been at the other before.
    const before = served.count("-1/retries");
    await client(served).send(GET).has("ill");
    expect(served.count("-1/retries")).toBe(before);
  });

  test("those that the rules name are told as failures", async () => {
    const ill = raw((end) => end.send(ILL));
    const served = await serve([aBackend(0, ill.port)], { health: { ejection: { statuses: [503] } } });
    await client(served).send(GET).has("ill");
    expect(served.observed).toEqual(["0 SLUICE_BACKEND_STATUS"]);
    expect([served.count("0/failures"), served.count("-1/failures")]).toEqual([1, 1]);
  });
});

test("connections per client address: 429 beyond the limit, and a place that is left is free again", async () => {
  const backend = raw(answering(OK));
  const served = await serve([aBackend(0, backend.port)], { limits: { perAddress: 1 } });
  const first = client(served);
  await first.send(GET).has("ok");
  const got = await client(served).send(GET).gone();
  expect(got).toStartWith("HTTP/1.1 429 Too Many Requests\r\n");
  expect(got).toContain("Sluice-Reason: SLUICE_HTTP_CLIENT_LIMIT\r\nRetry-After: 1\r\n");
  expect(served.logs.some((line) => line.includes("SLUICE_HTTP_CLIENT_LIMIT"))).toBe(true);
  first.stop();
  const tries: End[] = [];
  await until(() => {
    return tries.push(client(served).send(GET)) > 0 && tries.some(({ got }) => got.includes("ok"));
  });
});

test.each([1, 40])("of %i at once no more are served than may be; all others are told so, or cut", async (limit) => {
  const backend = raw(answering(OK));
  const served = await serve([aBackend(0, backend.port)], { limits: { connections: limit } });
  const crowd = Array.from({ length: 200 }, () => client(served).send(GET));
  for (const end of crowd) await end.until(({ got, closed, ended }) => got.endsWith("ok") || closed || ended);
  expect(crowd.filter(({ got }) => got === OK)).toHaveLength(limit);
  const told = crowd.filter(({ got }) => got.startsWith("HTTP/1.1 503 "));
  expect(told.length).toBeGreaterThanOrEqual(64);
  expect(told[0]!.got).toContain("Sluice-Reason: SLUICE_HTTP_CONNECTION_LIMIT\r\nRetry-After: 1\r\n");
  expect(crowd.filter(({ got }) => got === "")).toHaveLength(200 - limit - told.length);
  // One line about all of them, or two.
  expect(served.logs.filter((line) => line.includes("SLUICE_HTTP_CONNECTION_LIMIT")).length).toBeLessThan(10);
});
