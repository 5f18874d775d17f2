import { expect, test } from "bun:test";
import { createEventLog, type EventLog } from "../observe/events.ts";
import { createApi, type Daemon } from "./api.ts";

/** An API whose daemon notes what it is asked to do. */
function asked(events: EventLog = createEventLog()) {
  const done: unknown[][] = [];
  const note =
    <T>(name: string, result: T) =>
    (...args: unknown[]): T => {
      done.push([name, ...args]);
      return result;
    };
  const api = createApi({
    events,
    command: note("command", ["web/b"]),
    commandTag: note("commandTag", ["web/b"]),
    rollback: note("rollback", Promise.resolve({ ok: true, value: { revision: 1, problems: [], text: "" } })),
    upgrade: note("upgrade", { ok: true, value: 7 }),
    handOver: note("handOver", undefined),
    setRole: () => Promise.reject(new Error("the kernel says no")),
  } as unknown as Daemon);
  const post = async (path: string, body?: string): Promise<{ status: number; body: unknown }> => {
    const response = await api.request(path, { method: "POST", ...(body === undefined ? {} : { body }) });
    return { status: response.status, body: await response.json() };
  };
  return { api, done, post };
}

test.each(["/v1/rollback", "/v1/upgrade", "/v1/handover"])(
  "%s: a body that is no JSON, or of other keys, does nothing",
  async (path) => {
    const { done, post } = asked();
    for (const body of ['{"revision": 3', "x", "null", "[]", '{"other": 1}'])
      expect((await post(path, body)).status).toBe(400);
    expect(done).toEqual([]);
    expect((await post(path)).status).toBe(200);
    expect((await post(path, "{}")).status).toBe(200);
    expect(done).toHaveLength(2);
  },
);

test.each(["/v1/services/web/backends/b", "/v1/tags/blue"])("%s: a word that says nothing is refused", async (path) => {
  const { done, post } = asked();
  for (const body of [undefined, "{}", '{"for": 5000}', '{"weight": -1}', '{"admin": "ready", "x": 1}', "{"])
    expect((await post(path, body)).status).toBe(400);
  expect(done).toEqual([]);
  expect((await post(path, '{"weight": 0, "for": 5000}')).status).toBe(200);
});

test("a word about what there is not names what is missing, and what comes close", async () => {
  const config = { services: [{ name: "web" }] };
  const daemon: Partial<Daemon> = { command: () => [], wanted: () => null, config: () => config };
  const api = createApi({ ...daemon, explain: () => Promise.resolve(null) } as unknown as Daemon);
  const told = async (path: string, init?: RequestInit) => (await (await api.request(path, init)).json()) as object;
  const set = (service: string) =>
    told(`/v1/services/${service}/backends/b`, { method: "POST", body: '{"weight": 1}' });
  expect(await set("web")).toEqual({ message: "service web has no backend b: see sluice backends web" });
  expect(await set("webb")).toEqual({ message: "there is no service webb; did you mean web?" });
  expect(await told("/v1/services/x/files")).toEqual({ message: "there is no service x" });
  expect(await told("/v1/services/web/files")).toEqual({ message: expect.stringContaining("mirrors") });
  expect(await told("/v1/explain/dns")).toEqual({ message: "no service that runs explains itself by method dns" });
});

test("what fails and what there is not is said as everything else is, in JSON", async () => {
  const { post } = asked();
  expect(await post("/v1/role", '{"role": "active"}')).toEqual({
    status: 500,
    body: { message: "the kernel says no" },
  });
  expect(await post("/v1/nothing")).toEqual({ status: 404, body: { message: "there is no POST /v1/nothing" } });
});

test("a follower of events who does not read is let go before it costs memory without an end", async () => {
  const events = createEventLog();
  let followers = 0;
  const { api } = asked({
    ...events,
    subscribe(listener) {
      followers++;
      const stop = events.subscribe(listener);
      return () => {
        followers--;
        stop();
      };
    },
  });
  const { body } = await api.request("/v1/events?follow");
  expect(followers).toBe(1);
  for (let pid = 0; pid < 20_000; pid++) events.record({ kind: "worker", pid, what: "ready", detail: "" });
  expect(followers).toBe(0);
  let lines = 0;
  for await (const chunk of body!) lines += Buffer.from(chunk).toString().split("\n").length - 1;
  expect(lines).toBeGreaterThan(9_000);
  expect(lines).toBeLessThan(11_000);
});
