import { describe, expect, spyOn, test } from "bun:test";
import { Forwarder } from "../../relay/forwarder.ts";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, answering, deadPort, type End, serveOne } from "../../relay/testing.ts";
import { sleepSync } from "../../runtime/clock.ts";
import { knock } from "../../runtime/testing.ts";
import { proxy } from "./index.ts";

const { cleanup, raw, serve, client } = httpStage(proxy);

const OK = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

describe("connect", () => {
  test("a refused connection: another backend, also for a POST, whose body has not been sent", async () => {
    const living = raw((end) => {
      if (end.got.endsWith("hello")) end.send(OK);
    });
    const served = await serve([aBackend(0, deadPort()), aBackend(1, living.port)]);
    await client(served).send(POST).has("ok");
    await client(served).send(POST).has("ok");
    expect(served.observed).toContain("0 SLUICE_BACKEND_CONNECT");
    expect(served.count("-1/retries")).toBe(served.count("0/failures"));
    expect(["0/active", "1/active", "-1/active", "-1/errors"].map(served.count)).toEqual([0, 0, 0, 0]);
  });
  test("all refuse: 502 SLUICE_BACKEND_CONNECT", async () => {
    const served = await serve([aBackend(0, deadPort()), aBackend(1, deadPort())]);
    const got = await client(served).send(GET).gone();
    expect(got).toStartWith("HTTP/1.1 502 ");
    expect(got).toContain("Sluice-Reason: SLUICE_BACKEND_CONNECT\r\n");
    expect(served.observed.length).toBe(2);
  });
  test("none is eligible: 503 SLUICE_NO_BACKEND; HEAD gets the reason as a field", async () => {
    const served = await serve([aBackend(0, 1, { state: "down" })]);
    const got = await client(served).send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").gone();
    expect(got).toStartWith("HTTP/1.1 503 ");
    expect(got).toEndWith("Sluice-Reason: SLUICE_NO_BACKEND\r\nRetry-After: 1\r\nConnection: close\r\n\r\n");
  });
});

describe("a connection that dies before any answer", () => {
  const once = (then: string) => (end: End, index: number) => {
    if (index === 0 && end.got.split("GET").length > 2) end.stop();
    else end.send(then);
  };
  test("stale and kept: an idempotent request is repeated on a fresh one, unseen (C.34)", async () => {
    const backend = raw(once(OK));
    const served = await serve([aBackend(0, backend.port)]);
    const end = client(served);
    await end.send(GET).has("ok");
    await end.send(GET).until(({ got }) => got === OK.repeat(2));
    expect(backend.connections.length).toBe(2);
    expect(served.observed).toEqual([]);
    expect(["-1/retries", "0/retries", "0/errors", "0/failures"].map(served.count)).toEqual([1, 1, 0, 0]);
  });
  test("a POST is not repeated", async () => {
    const backend = raw((end, index) => (index === 0 && end.got.includes("POST") ? end.stop() : void end.send(OK)));
    const served = await serve([aBackend(0, backend.port)]);
    const end = client(served);
    await end.send(GET).has("ok");
    await end.send(POST).has("502 Bad Gateway");
    expect(backend.connections.length).toBe(1);
    expect(served.count("-1/retries")).toBe(0);
  });
  test("the repeat goes out on a fresh connection, however many stale ones are kept, and only once there (C.34)", async () => {
    const waiting: End[] = [];
    const backend = raw((end) => {
      if (end.got.includes("/again")) end.stop();
      else waiting.push(end);
    });
    const served = await serve([aBackend(0, backend.port)]);
    const ends = Array.from({ length: 4 }, () => client(served).send(GET));
    while (waiting.length < 4) await Bun.sleep(5);
    for (const end of waiting) end.send(OK);
    for (const end of ends) await end.has("ok");
    const got = await ends[0]!.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n").gone();
    expect(got).toContain("HTTP/1.1 502 ");
    const again = backend.connections.filter(({ got: seen }) => seen.includes("/again"));
    expect(again.map(({ got: seen }) => seen.split("GET").length - 1)).toEqual([2, 1]);
  });
  test("beyond the retry budget a stale connection is not made good either (C.34)", async () => {
    const backend = raw(once(OK));
    const served = await serve([aBackend(0, backend.port)], { retryBudget: { percent: 0, least: 0 } });
    const end = client(served);
    await end.send(GET).has("ok");
    expect(await end.send(GET).gone()).toContain("HTTP/1.1 502 ");
    expect(backend.connections.length).toBe(1);
  });
  test("a killed backend costs no GET: it goes to another", async () => {
    const dying = raw((end) => end.stop());
    const living = raw(answering(OK));
    const served = await serve([aBackend(0, dying.port), aBackend(1, living.port)]);
    for (let i = 0; i < 4; i++) await client(served).send(GET).has("ok");
    expect(served.observed).toContain("0 SLUICE_BACKEND_CLOSED");
  });
  test("a backend that is taken down loses the requests it has not begun to answer to others", async () => {
    const silent = raw(() => {});
    const living = raw(answering(OK));
    const served = await serve([aBackend(0, silent.port), aBackend(1, living.port)]);
    const end = client(served).send(GET);
    const [first] = await Promise.race([silent.connection(0), living.connection(0)]).then(() => silent.connections);
    if (first !== undefined) await first.has("\r\n\r\n");
    served.change(0, { state: "down" });
    await end.has("ok");
    expect(served.count("0/active")).toBe(0);
  });
  test("a backend that is tired of a client's unsent body is not blamed: nobody ejects backends by dawdling", async () => {
    const tired = raw((end) => setTimeout(() => end.stop(), 1500));
    const served = await serve([aBackend(0, tired.port)]);
    const clients = Array.from({ length: 6 }, () => client(served).send(POST.slice(0, -3)));
    for (const end of clients) expect(await end.gone()).toStartWith("HTTP/1.1 502 ");
    expect(served.observed).toEqual([]);
    expect(["0/failures", "0/active", "-1/errors"].map(served.count)).toEqual([0, 0, 6]);
  });
  test("one that is taken down and has no other beside it may still answer what it has", async () => {
    const [slow, other] = [raw(() => {}), raw(answering(OK))];
    const served = await serve([aBackend(0, slow.port), aBackend(1, other.port, { state: "down" })]);
    const [first, second] = [client(served).send(GET), client(served).send(GET)];
    const asked = [await slow.connection(0), await slow.connection(1)];
    for (const end of asked) await end.has("\r\n\r\n");
    served.change(0, { state: "down" });
    asked[0]!.send(OK);
    expect(await Promise.race([first.has("ok"), second.has("ok")])).toBe(OK);
    // What it has not answered goes to the next one that serves.
    served.change(1, { state: "up" });
    for (const end of [first, second]) expect(await end.has("ok")).toBe(OK);
    expect(["0/active", "1/requests", "-1/errors"].map(served.count)).toEqual([0, 1, 0]);
  });
});

describe("a fault of our own in the middle of a backend's answer", () => {
  const response = `${OK.slice(0, -2)}o`;
  for (const [door, then] of [
    ["head", /^HTTP\/1\.1 500 .*\r\nSluice-Reason: SLUICE_INTERNAL\r\n/s],
    ["part", /^$/],
  ] as const)
    test(`${door}: the log has its stack, the backend is not blamed, the client sees that it has no whole answer`, async () => {
      const backend = raw(answering(response));
      const served = await serve([aBackend(0, backend.port)]);
      const fault = spyOn(Forwarder.prototype, door).mockImplementation(() => {
        throw new Error("a fault");
      });
      cleanup.push(() => fault.mockRestore());
      expect(await client(served).send(GET).gone()).toMatch(then);
      await backend.connections[0]!.gone();
      expect(served.observed).toEqual([]);
      expect(served.logs).toEqual([
        expect.stringMatching(/^error a backend connection failed inside .*a fault.*\.ts:/),
      ]);
      expect(["0/active", "0/failures", "0/errors", "-1/errors"].map(served.count)).toEqual([0, 0, 0, 1]);
    });
});

describe("time-outs", () => {
  test("no answer: 504 SLUICE_BACKEND_TIMEOUT, and no second try", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)], { timeouts: { response: "100ms" } });
    const got = await client(served).send(GET).gone();
    expect(got).toStartWith("HTTP/1.1 504 ");
    expect(got).toContain("Sluice-Reason: SLUICE_BACKEND_TIMEOUT\r\n");
    expect(backend.connections.length).toBe(1);
  });
  test("an answer that is there is in time, however long this process stood still before it could read it", async () => {
    // Behind its handler the timers have their turn first.
    const backend = raw((end) => {
      end.send(OK);
      sleepSync(500);
    });
    const served = await serve([aBackend(0, backend.port)], { timeouts: { response: "100ms" } });
    expect(await client(served).send(GET).has("\r\n\r\n")).toStartWith("HTTP/1.1 200 ");
  });
  test("a head that drips: 408", async () => {
    const served = await serve([aBackend(0, 1)], { timeouts: { head: "100ms" } });
    const got = await client(served).send("GET / HT").gone();
    expect(got).toStartWith("HTTP/1.1 408 ");
  });
  test("a second head that drips: 408; an idle connection just closes", async () => {
    const backend = raw(answering(OK));
    const served = await serve([aBackend(0, backend.port)], { timeouts: { head: "100ms", idle: "100ms" } });
    expect(await client(served).send(`${GET}GE`).gone()).toContain("HTTP/1.1 408 ");
    expect(await client(served).send(GET).gone()).toBe(OK);
    expect(await client(served).gone()).toBe("");
  });
  test("a body that drips: 408, and the backend sees no whole request", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)], { timeouts: { body: "100ms" } });
    const got = await client(served).send(POST.slice(0, -2)).gone();
    expect(got).toStartWith("HTTP/1.1 408 ");
    await backend.connections[0]!.gone();
    expect(backend.connections[0]!.got).toEndWith("\r\n\r\nhel");
  });
  test("a client that takes nothing of its answer: its connection is cut, and the backend's", async () => {
    const part = Buffer.alloc(4 << 20, "x");
    const backend = raw((end) => {
      end.send("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
      for (let i = 0; i < 16; i++) end.send(part);
    });
    const served = await serve([aBackend(0, backend.port)], { timeouts: { stall: "100ms" } });
    const end = client(served);
    await end.until(({ socket }) => socket !== null);
    end.socket!.pause();
    end.send(GET);
    await (await backend.connection(0)).gone();
    expect(served.count("-1/active")).toBe(0);
    end.socket!.resume();
    expect((await end.gone()).length).toBeLessThan(67_108_864);
  });
  test("a backend that stops in the middle of its answer: the client sees that it is not whole", async () => {
    const backend = raw((end) => end.send("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 9\r\n\r\npart"));
    const served = await serve([aBackend(0, backend.port)], { timeouts: { read: "100ms" } });
    expect(await client(served).send(GET).gone()).toEndWith("\r\n\r\npart");
    await backend.connections[0]!.gone();
    expect(served.observed).toEqual(["0 SLUICE_BACKEND_TIMEOUT"]);
  });
  test("a rested backend connection is closed", async () => {
    const backend = raw(answering(OK));
    const served = await serve([aBackend(0, backend.port)], { timeouts: { pool: "100ms" } });
    await client(served).send(GET).has("ok");
    await backend.connections[0]!.gone();
  });
});

describe("limits", () => {
  test("a body beyond the limit: 413, announced or chunked", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)], { limits: { body: "4B" } });
    expect(await client(served).send(POST).gone()).toStartWith("HTTP/1.1 413 ");
    const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    expect(await client(served).send(chunked).gone()).toStartWith("HTTP/1.1 413 ");
  });
  test("a head that would not fit where messages are put together: 431, and not a byte leaves", async () => {
    const backend = raw(answering(OK));
    const served = await serve([aBackend(0, backend.port)], { limits: { head: "256KiB" }, forwarded: true });
    // The host goes on in Host, X-Forwarded-Host and Forwarded.
    const got = await client(served)
      .send(`GET / HTTP/1.1\r\nHost: ${"a".repeat(240 << 10)}\r\n\r\n`)
      .gone();
    expect(got).toStartWith("HTTP/1.1 431 ");
    expect(backend.connections.map((end) => end.got)).toEqual([""]);
  });
  test("requests per connection", async () => {
    const backend = raw(answering(OK));
    const served = await serve([aBackend(0, backend.port)], { limits: { requests: 2 } });
    const got = await client(served).send(GET.repeat(3)).gone();
    expect(got).toBe(OK + OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  });
  test("connections beyond what the open files allow get 503, and the others live", async () => {
    const backend = raw(answering(OK));
    const served = await serveOne(proxy, [aBackend(0, backend.port)], {}, { connectionLimit: 1 });
    cleanup.push(served.stop);
    const first = client(served);
    await first.send(GET).has("ok");
    expect(await client(served).gone()).toStartWith("HTTP/1.1 503 ");
    await first.send(GET).until(({ got }) => got === OK.repeat(2));
  });
});

describe("a client that leaves", () => {
  test("in the middle of an exchange: the backend's connection goes, nothing stays counted", async () => {
    const backend = raw(() => {});
    const served = await serve([aBackend(0, backend.port)]);
    const end = client(served).send(GET);
    await (await backend.connection(0)).has("\r\n\r\n");
    end.stop();
    await backend.connections[0]!.gone();
    expect(["-1/active", "0/active", "-1/errors"].map(served.count)).toEqual([0, 0, 0]);
  });
  test("with its half only: it still gets its answer", async () => {
    const backend = raw(answering(OK));
    const served = await serve([aBackend(0, backend.port)]);
    const end = client(served).send(GET);
    await end.until(({ socket }) => socket !== null);
    end.socket!.shutdown();
    expect(await end.gone()).toBe(OK);
  });
});

test.each(["http", "tcp"])("clients that have gone before they are seen cost no line of the log (%s)", async (mode) => {
  const backend = raw(answering(OK));
  const served = await serve([aBackend(0, backend.port)], { mode, sendProxy: "v1" });
  for (let i = 0; i < 20; i++) knock(served.port, GET);
  await client(served).send(GET).has("ok");
  expect(served.logs.filter((line) => line.startsWith("error"))).toEqual([]);
  expect(backend.connections.filter(({ got }) => /undefined|NaN/.test(got))).toEqual([]);
});

test("draining: what is under way ends and says close; a client that just sends is still served", async () => {
  const backend = raw((end) => {
    if (end.got.includes("/slow")) setTimeout(() => end.send(OK), 100);
    else end.send(OK);
  });
  const served = await serve([aBackend(0, backend.port)]);
  const idle = client(served);
  await idle.send(GET).has("ok");
  const busy = client(served).send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  await (await backend.connection(0)).until(() => backend.connections.some(({ got }) => got.includes("/slow")));
  const drained = served.serving.drain(5000);
  idle.send(GET);
  expect(await idle.gone()).toBe(OK + OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  expect(await busy.gone()).toBe(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  await drained;
});

test("a request that has come through here too often is refused (D.38)", async () => {
  const served = await serve([aBackend(0, 1)]);
  const via = "Via: 1.1 sluice, 1.1 sluice\r\n".repeat(3);
  expect(await client(served).send(`GET / HTTP/1.1\r\nHost: a\r\n${via}\r\n`).gone()).toStartWith("HTTP/1.1 508 ");
});

test("D.36 OPTIONS with Max-Forwards 0 is answered here", async () => {
  const served = await serve([aBackend(0, 1)]);
  const end = client(served).send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
  expect(await end.has("Allow: ")).toStartWith("HTTP/1.1 200 OK\r\n");
});
