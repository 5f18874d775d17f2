/** What is sent once more, and what never is. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, answering, deadPort, type End } from "../../relay/testing.ts";
import { sleep } from "../../runtime/clock.ts";
import { proxy } from "./index.ts";

const { raw, serve, client } = httpStage(proxy);

const OK = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
const ILL = "HTTP/1.1 429 Too Many Requests\r\nDate: x\r\nContent-Length: 3\r\n\r\nill";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

describe("no answer in time", () => {
  const silentAndLiving = () => {
    const silent = raw(() => {});
    const living = raw(answering(OK));
    return { silent, living, both: [aBackend(0, silent.port), aBackend(1, living.port)] };
  };
  const short = { timeouts: { response: "100ms" } };

  test("retryOn: [timeout] sends an idempotent request to another backend", async () => {
    const { silent, both } = silentAndLiving();
    const served = await serve(both, { ...short, retryOn: ["timeout"] });
    for (let i = 0; i < 4; i++) await client(served).send(GET).has("ok");
    expect(silent.connections.length).toBeGreaterThan(0);
    expect(served.observed).toContain("0 SLUICE_BACKEND_TIMEOUT");
  });

  test("a POST is not, and without the word nothing is", async () => {
    const { silent, living } = silentAndLiving();
    const posted = await serve([aBackend(0, silent.port), aBackend(1, living.port, { weight: 0 })], {
      ...short,
      retryOn: ["timeout"],
    });
    expect(await client(posted).send(POST).gone()).toContain("SLUICE_BACKEND_TIMEOUT");
    const plain = await serve([aBackend(0, silent.port), aBackend(1, living.port, { tier: 1 })], short);
    expect(await client(plain).send(GET).gone()).toContain("SLUICE_BACKEND_TIMEOUT");
  });
});

describe("backup backends", () => {
  test("get nothing while a lower tier has somebody, and all when it has nobody", async () => {
    const [first, backup] = [raw(answering(OK)), raw(answering(OK))];
    const served = await serve([aBackend(0, first.port), aBackend(1, backup.port, { tier: 1 })]);
    for (let i = 0; i < 3; i++) await client(served).send(GET).has("ok");
    expect([served.count("0/requests"), served.count("1/requests")]).toEqual([3, 0]);
    served.change(0, { state: "down" });
    for (let i = 0; i < 3; i++) await client(served).send(GET).has("ok");
    expect([served.count("0/requests"), served.count("1/requests")]).toEqual([3, 3]);
    served.change(0, { state: "up" });
    await client(served).send(GET).has("ok");
    expect(served.count("0/requests")).toBe(4);
  });

  test("stand in at once for a tier that refuses a request, before any check has noticed", async () => {
    const backup = raw(answering(OK));
    const ill = raw(answering(ILL));
    const dead = await serve([aBackend(0, deadPort()), aBackend(1, backup.port, { tier: 1 })]);
    await client(dead).send(GET).has("ok");
    await client(dead).send(POST).has("ok");
    const refusing = await serve([aBackend(0, ill.port), aBackend(1, backup.port, { tier: 1 })], { retryOn: [429] });
    await client(refusing).send(GET).has("ok");
    for (const out of [{ state: "draining" as const }, { state: "down" as const }, { weight: 0 }]) {
      const served = await serve([aBackend(0, deadPort()), aBackend(1, backup.port, { tier: 1, ...out })]);
      expect(await client(served).send(GET).gone()).toContain("SLUICE_BACKEND_CONNECT");
    }
  });
});

test("a kept connection that turns out closed is replaced at each backend that is asked, beside the retries", async () => {
  let calm = false;
  const closing = (rest: (end: End) => void) =>
    raw((end) => {
      const told = end.got.split("\r\n\r\n").length - 1;
      if (!calm) end.send(OK);
      else if (told > 1)
        end.stop(); // as if it had closed it just before
      else rest(end);
    });
  const [ill, living] = [closing((end) => end.stop()), closing((end) => void end.send(OK))];
  const served = await serve([aBackend(0, ill.port), aBackend(1, living.port, { tier: 1 })], { retries: 1 });
  served.change(0, { state: "down" });
  await client(served).send(GET).has("ok");
  served.change(0, { state: "up" });
  await client(served).send(GET).has("ok");
  calm = true;
  await client(served).send(GET).has("ok");
  expect([ill, living].map(({ connections }) => connections.length)).toEqual([2, 2]);
});

test("what may not be sent twice takes no connection that has rested long; what may does", async () => {
  const backend = raw((end) => void (/GET [\s\S]*\r\n\r\n$/.test(end.got) && end.send(OK)));
  const served = await serve([aBackend(0, backend.port)]);
  await client(served).send(GET).has("ok");
  await sleep(1200);
  client(served).send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  await (await backend.connection(1)).has("PUT");
  client(served).send(POST);
  await (await backend.connection(2)).has("POST");
  await client(served).send(GET).has("ok");
  expect(backend.connections.length).toBe(3);
});

test("a request of whose body something has gone is not sent again, though it is idempotent", async () => {
  const closing = raw((end) => void (end.got.endsWith("hello") && end.stop()));
  const living = raw(answering(OK));
  const served = await serve([aBackend(0, closing.port), aBackend(1, living.port, { tier: 1 })]);
  const end = client(served).send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  expect(await end.gone()).toContain("SLUICE_BACKEND_CLOSED");
  expect(living.connections.length).toBe(0);
});

/** What a backend does with a request whose head is whole. */
const moods = {
  answer: (end: End) => void end.send(OK),
  ill: (end: End) => void end.send(ILL),
  close: (end: End) => end.stop(),
  break: (end: End) => void (end.send(OK.slice(0, 30)), setTimeout(() => end.stop(), 5)),
  silent: () => {},
};
type Mood = keyof typeof moods;

test("whatever backends do: what is not idempotent reaches one backend at most, nothing is sent too often, each gets an answer", async () => {
  const mood = fc.constantFrom<Mood>("answer", "answer", "ill", "close", "break", "silent");
  const given = fc.record({
    moods: fc.array(fc.array(mood, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }),
    dead: fc.boolean(),
    requests: fc.array(fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE"), { minLength: 1, maxLength: 6 }),
    retries: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(given, async ({ moods: perBackend, dead, requests, retries }) => {
      const seen = new Map<string, number>();
      const ports = perBackend.map((list) => {
        let turn = 0;
        return raw((end) => {
          for (const [, id] of end.got.matchAll(/ \/(\d+) HTTP\/1.1[\s\S]*?\r\n\r\n/g)) {
            seen.set(id!, (seen.get(id!) ?? 0) + 1);
            moods[list[turn++ % list.length]!](end);
          }
          end.got = "";
        }).port;
      });
      if (dead) ports.push(deadPort());
      const backends = ports.map((port, i) => aBackend(i, port));
      const options = { retries, retryOn: [429, "timeout"], timeouts: { response: "60ms" } };
      const served = await serve(backends, options);
      const ends = requests.map((method, id) =>
        client(served).send(`${method} /${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
      );
      await Promise.all(ends.map((end) => end.gone()));
      for (const [id, method] of requests.entries()) {
        const times = seen.get(String(id)) ?? 0;
        // At each backend once more, over a fresh connection for a kept one.
        expect(times).toBeLessThanOrEqual(method === "POST" || method === "PATCH" ? 1 : 2 * (retries + 1));
        expect(ends[id]!.got).toMatch(/^HTTP\/1.1 (200|429|50[234]) /);
      }
      expect(served.count("-1/active")).toBe(0);
      await served.stop();
    }),
    { numRuns: 25 },
  );
}, 60_000);
