import { expect, test } from "bun:test";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, type Served } from "../../relay/testing.ts";
import { sleep } from "../../runtime/clock.ts";
import { bindUdp, type UdpSocket } from "../../runtime/udp.ts";
import { proxy } from "./index.ts";

const { cleanup, serve: serveTcp } = httpStage(proxy);
const serve = (backends: ReturnType<typeof aBackend>[], options: object = {}, more: object = {}): Promise<Served> =>
  serveTcp(backends, options, { protocol: "udp", ...more });

/** Waits for a condition; fails after 5 s. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (holds()) return;
    await sleep(10);
  }
  throw new Error(`${what} did not come`);
}

/** A backend that answers `NAME:` and what it got, from which port; silent when told. */
async function echo(name: string, port = 0) {
  const from = new Set<number>();
  const backend = { port: 0, got: [] as string[], from, silent: false, stop() {} };
  const socket = await bindUdp("127.0.0.1", port, (self, data, source, address) => {
    backend.got.push(data.toString());
    from.add(source);
    if (!backend.silent && data.length < 65_500) self.send(Buffer.from(`${name}:${data}`), source, address);
  });
  backend.port = socket.port;
  let open = true;
  backend.stop = () => {
    if (open) socket.close();
    open = false;
  };
  cleanup.push(() => backend.stop());
  return backend;
}

/** A client with one port of its own: sends, and collects answers with the address they came from. */
async function aClient(served: Served, from = "127.0.0.1") {
  const answers: string[] = [];
  const sources = new Set<string>();
  const socket: UdpSocket = await bindUdp(from, 0, (_socket, data, port, address) => {
    answers.push(data.toString());
    sources.add(`${address}:${port}`);
  });
  cleanup.push(() => socket.close());
  const send = (text: string): boolean => socket.send(Buffer.from(text), served.port, "127.0.0.1");
  const ask = async (text: string): Promise<string> => {
    const before = answers.length;
    send(text);
    await until(() => answers.length > before, `an answer to ${text}`);
    return answers.at(-1)!;
  };
  return { send, ask, answers, sources };
}

type Client = Awaited<ReturnType<typeof aClient>>;
const down = { state: "down" as const };

test("a session keeps its backend and its port; answers come from the address that was asked; all is counted", async () => {
  const [a, b] = [await echo("A"), await echo("B")];
  const served = await serve([aBackend(0, a.port), aBackend(1, b.port)]);
  const clients = await Promise.all(Array.from({ length: 6 }, () => aClient(served)));
  for (const client of clients) {
    const name = (await client.ask("1")).split(":")[0];
    for (const text of ["2", "3", ""]) expect(await client.ask(text)).toBe(`${name}:${text}`);
    expect([...client.sources]).toEqual([`127.0.0.1:${served.port}`]);
  }
  expect([a.from.size, b.from.size]).toEqual([3, 3]);
  const counts = ["-1/connections", "-1/active", "0/active", "1/requests", "-1/bytesIn", "-1/errors"];
  expect(counts.map(served.count)).toEqual([6, 6, 3, 3, 18, 0]);
});

test("a silent session ends, and its client begins anew", async () => {
  const a = await echo("A");
  const served = await serve([aBackend(0, a.port)], { udp: { idle: "100ms" } });
  const client = await aClient(served);
  await client.ask("1");
  await until(() => served.count("-1/active") === 0, "the end of the session");
  await client.ask("2");
  expect(a.from.size).toBe(2);
  expect(served.count("0/active")).toBe(1);
});

test("oneShot: each datagram finds its backend; the answer ends the session; a missing one is a failure", async () => {
  const [a, b] = [await echo("A"), await echo("B")];
  const served = await serve([aBackend(0, a.port), aBackend(1, b.port)], { udp: { oneShot: true, idle: "200ms" } });
  const client = await aClient(served);
  const names = new Set<string>();
  for (let i = 0; i < 8; i++) names.add((await client.ask(String(i))).split(":")[0]!);
  expect([...names].sort()).toEqual(["A", "B"]);
  await until(() => served.count("-1/active") === 0, "the end of all sessions");
  expect([a.got.length, b.got.length]).toEqual([4, 4]);
  a.silent = b.silent = true;
  client.send("x");
  await until(() => served.observed.length > 0, "an observed failure");
  expect(served.observed[0]).toEndWith("SLUICE_BACKEND_TIMEOUT");
});

test("what a backend's host refuses goes to another one; established sessions do not move by themselves", async () => {
  const [a, b] = [await echo("A"), await echo("B")];
  a.stop();
  const served = await serve([aBackend(0, a.port), aBackend(1, b.port)]);
  for (const client of [await aClient(served), await aClient(served), await aClient(served)]) {
    expect(await client.ask("1")).toBe("B:1");
    expect(await client.ask("2")).toBe("B:2");
  }
  expect(served.observed.length).toBeGreaterThan(0);
  expect(served.observed.every((seen) => seen === "0 SLUICE_BACKEND_CONNECT")).toBe(true);
  expect(served.count("0/active")).toBe(0);
  expect(served.count("-1/retries")).toBeGreaterThan(0);
  // All refuse: the session ends, nothing goes on for ever.
  b.stop();
  const last = await aClient(served);
  last.send("x");
  await until(() => served.observed.includes("1 SLUICE_BACKEND_CONNECT"), "the refusal of the other");
  await until(() => served.count("-1/active") <= 3, "the end of the session");
});

test("down takes sessions away, draining lets them be, and nobody eligible is counted", async () => {
  const [a, b] = [await echo("A"), await echo("B")];
  const served = await serve([aBackend(0, a.port), aBackend(1, b.port, { state: "down" })]);
  const client = await aClient(served);
  expect(await client.ask("1")).toBe("A:1");
  served.change(1, { state: "up" });
  served.change(0, { state: "draining" });
  expect(await client.ask("2")).toBe("A:2");
  expect(await (await aClient(served)).ask("3")).toBe("B:3");
  served.change(0, down);
  expect(await client.ask("4")).toBe("B:4");
  served.change(1, down);
  client.send("5");
  await until(() => served.count("-1/errors") === 1, "the dropped datagram");
  expect(served.logs.at(-1)).toContain("SLUICE_NO_BACKEND");
  expect([served.count("0/active"), served.count("1/active"), served.count("-1/active")]).toEqual([0, 0, 0]);
});

test("sessions are bounded, in all and by client address", async () => {
  const a = await echo("A");
  const bounded = await serve([aBackend(0, a.port)], { udp: { sessions: 2 } });
  const [talks, asks, third, last] = (await Promise.all(Array.from({ length: 4 }, () => aClient(bounded)))) as [
    Client,
    Client,
    Client,
    Client,
  ];
  for (const text of ["1", "2"]) expect(await talks.ask(text)).toBe(`A:${text}`);
  await asks.ask("1");
  // Who has not answered to an answer makes room; who talks keeps his session.
  for (const text of ["1", "2"]) expect(await third.ask(text)).toBe(`A:${text}`);
  expect(a.from.size).toBe(3);
  expect(await talks.ask("3")).toBe("A:3");
  expect([a.from.size, bounded.count("-1/active"), bounded.count("-1/errors")]).toEqual([3, 2, 1]);
  last.send("1");
  await until(() => bounded.count("-1/errors") === 2, "the refusal");
  expect(bounded.logs.at(-1)).toContain("SLUICE_UDP_SESSIONS");
  expect(a.from.size).toBe(3);
  const each = await serve([aBackend(0, a.port)], { limits: { perAddress: 1 } });
  expect(await (await aClient(each)).ask("1")).toBe("A:1");
  (await aClient(each)).send("1");
  await until(() => each.count("-1/errors") === 1, "the refusal by address");
  expect(each.logs.at(-1)).toContain("SLUICE_HTTP_CLIENT_LIMIT");
});

test("who is beyond the limit of its address pushes nobody out", async () => {
  const a = await echo("A");
  const served = await serve([aBackend(0, a.port)], { udp: { sessions: 2 }, limits: { perAddress: 1 } });
  const [first, other] = [await aClient(served), await aClient(served, "127.0.0.2")];
  await first.ask("1");
  await other.ask("1");
  (await aClient(served, "127.0.0.2")).send("1");
  await until(() => served.count("-1/errors") === 1, "the refusal");
  expect(served.count("-1/active")).toBe(2);
  expect(served.logs.at(-1)).toContain("SLUICE_HTTP_CLIENT_LIMIT");

  for (const one of [first, other]) await one.ask("2");
  expect(a.from.size).toBe(2);
});

test("datagrams of any size and in bursts arrive whole and once; one that cannot go on costs nobody else", async () => {
  const a = await echo("A");
  const served = await serve([aBackend(0, a.port)]);
  const client = await aClient(served);
  for (let i = 0; i < 20; i++) client.send(`${i}`);
  await until(() => client.answers.length === 20, "all answers of a burst");
  expect([...a.got].sort()).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`).sort());
  expect(await client.ask("x".repeat(60_000))).toBe(`A:${"x".repeat(60_000)}`);
  // The largest but one; an echo with its name in front would find no room, so none comes.
  client.send("y".repeat(65_506));
  await until(() => a.got.at(-1)!.length === 65_506, "the largest datagram");
  expect(await client.ask("2")).toBe("A:2");
  expect(served.count("-1/active")).toBe(1);
});

test("source-hash keeps a client at its backend over its sessions", async () => {
  const backends = await Promise.all(["A", "B", "C"].map((name) => echo(name)));
  const served = await serve(
    backends.map(({ port }, id) => aBackend(id, port)),
    {},
    { scheduler: { name: "source-hash", options: {} } },
  );
  const names = new Set<string>();
  for (let i = 0; i < 6; i++) names.add((await (await aClient(served)).ask("1")).split(":")[0]!);
  expect(names.size).toBe(1);
});

test("a worker that drains still delivers answers, from the same address, and ends with its last session", async () => {
  const a = await echo("A");
  a.silent = true;
  const served = await serve([aBackend(0, a.port)], { udp: { idle: "300ms" } });
  const client = await aClient(served);
  client.send("1");
  await until(() => a.got.length === 1, "the datagram at the backend");
  const drained = served.serving.drain(5000);
  const stranger = await echo("S");
  await answerFrom(stranger, [...a.from][0]!, "forged");
  (await aClient(served)).send("new");
  await answerFrom(a, [...a.from][0]!, "pong");
  await until(() => client.answers.includes("pong"), "the answer during the drain");
  expect([...client.sources]).toEqual([`127.0.0.1:${served.port}`]);
  expect(client.answers).not.toContain("forged");
  await drained;
  expect(served.count("-1/active")).toBe(0);
  expect(a.got).toEqual(["1"]);
});

/** Sends from a backend's own port to the one of a session. */
async function answerFrom(backend: { port: number; stop(): void }, to: number, text: string): Promise<void> {
  backend.stop();
  const socket = await bindUdp("127.0.0.1", backend.port, () => {});
  cleanup.push(() => socket.close());
  socket.send(Buffer.from(text), to, "127.0.0.1");
}
