import { afterAll, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import fc from "fast-check";
import agent, { parseAgentLine } from "./agent.ts";

const undo: (() => void)[] = [];
afterAll(() => {
  for (const step of undo) step();
});

/** What asking an agent gives that does `talk` to each connection. */
async function ask(talk: (socket: Socket) => void, options: { send?: string } = {}, timeout = 5000) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    undo.push(() => socket.destroy());
    talk(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  undo.push(() => void server.close());
  return agent.probe({ address: "127.0.0.1", port: (server.address() as { port: number }).port }, options, timeout);
}

test("each word of the protocol, in any order and case, apart by blanks, tabs and commas", () => {
  const said = (line: string) => parseAgentLine(line).said;
  expect(said("75%")).toEqual({ percent: 75 });
  expect(said("weight:50%")).toEqual({ percent: 50 });
  expect(said("0%")).toEqual({ percent: 0 });
  expect(said("10000% maxconn:1000000")).toEqual({ percent: 10_000, limit: 1_000_000 });
  expect(said("maxconn:30")).toEqual({ limit: 30 });
  expect(said("load:0.25")).toEqual({ load: 0.25 });
  expect(said("load:1")).toEqual({ load: 1 });
  for (const [word, admin] of [
    ["ready", "ready"],
    ["drain", "drain"],
    ["maint", "maintenance"],
  ] as const)
    expect(said(word)).toEqual({ admin });
  for (const word of ["down", "fail", "stopped"]) expect(said(`${word} #disk full`)).toEqual({ up: false });
  expect(said("UP,Ready\t 80%  maxconn:5")).toEqual({ up: true, admin: "ready", percent: 80, limit: 5 });
  expect(said("10% 20% weight:30%")).toEqual({ percent: 30 });
  expect(said("")).toEqual({});
});

test("what is not known changes nothing and is named; a description may hold any word", () => {
  expect(parseAgentLine("up 50% #up to 99% down")).toEqual({
    said: { up: true, percent: 50 },
    detail: "up 50% (up to 99% down)",
  });
  expect(parseAgentLine("drain lazy")).toEqual({ said: { admin: "drain" }, detail: "drain and an unknown word: lazy" });
  for (const word of [
    "75",
    "-5%",
    "7.5%",
    "10001%",
    "maxconn:1000001",
    "maxconn:",
    "maxconn:-1",
    "load:2",
    "load:1.5",
    "constructor",
    "__proto__",
  ])
    expect(parseAgentLine(word)).toEqual({ said: {}, detail: `nothing and an unknown word: ${word}` });
});

test("any line gives only words of the protocol, within their bounds, and a short detail", () => {
  const word = fc.oneof(
    fc.constantFrom(
      "up",
      "down",
      "ready",
      "drain",
      "maint",
      "fail",
      "stopped",
      "load:0.5",
      "maxconn:7",
      "30%",
      "#",
      ",",
    ),
    fc.string({ maxLength: 40 }),
    fc.nat(2e5).map((n) => `${n}%`),
    fc.nat(2e7).map((n) => `maxconn:${n}`),
    fc.double({ min: -1, max: 3 }).map((n) => `load:${n}`),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => {
      const { said, detail } = parseAgentLine(words.join(" "));
      const { admin = "ready", percent = 0, limit = 0, load = 0 } = said;
      expect(Object.keys(said).every((key) => ["admin", "up", "percent", "limit", "load"].includes(key))).toBe(true);
      expect(["ready", "drain", "maintenance"]).toContain(admin);
      for (const [value, most] of [
        [percent, 10_000],
        [limit, 1_000_000],
      ] as const)
        expect(Number.isInteger(value) && value >= 0 && value <= most).toBe(true);
      expect(load >= 0 && load <= 1).toBe(true);
      expect(detail.length).toBeLessThan(1024);
    }),
  );
});

test("the line ends at the first line end, in however many pieces it comes", async () => {
  const answers = { passed: true, code: "SLUICE_CHECK_OK", detail: "up 75%", said: { up: true, percent: 75 } };
  expect(await ask((socket) => socket.end("up 75%\n"))).toMatchObject(answers);
  expect(await ask((socket) => void socket.write("up 75%\rx"))).toMatchObject(answers);
  expect(await ask((socket) => void socket.write("up 75%\r\ndown\n"))).toMatchObject(answers);
  const dripping = (socket: Socket) => {
    socket.setNoDelay(true);
    const left = [..."up 75%\ndown"];
    const drip = setInterval(() => (left.length > 0 ? socket.write(left.shift()!) : clearInterval(drip)), 2);
  };
  expect(await ask(dripping)).toMatchObject(answers);
});

test("a line that was cut is none: what it was to say is not known", async () => {
  const cut = { passed: false, code: "SLUICE_CHECK_CLOSED", detail: "closed inside the line" };
  for (const line of ["maxconn:1", "10% down", "up"]) {
    const verdict = await ask((socket) => socket.end(line));
    expect(verdict).toMatchObject(cut);
    expect(verdict.said).toBeUndefined();
  }
});

test("a description may be long, and of any language; the words before it count", async () => {
  const detail = async (line: string | Buffer) => {
    const { said, detail } = await ask((socket) => void socket.write(line));
    expect(said).toEqual({ up: false });
    return detail;
  };
  expect(await detail("down #disque plein \u00e0 80 %\n")).toBe("down (disque plein \u00e0 80 %)");
  expect(await detail(`down #${"x".repeat(16 * 1024 - 6)}\n`)).toBe(`down (${"x".repeat(128)})`);
  expect(await detail("down #\u202egpj\u0085\n")).toBe("down (\\u202egpj\\u0085)");
  expect(await detail(Buffer.from("down \xff\n", "latin1"))).toBe("down and an unknown word: \ufffd");
  expect(await detail(`${"up ".repeat(4000)}drainn down\n`)).toBe(
    `${"up ".repeat(15)}down and an unknown word: drainn`,
  );
});

test("`send` goes out first", async () => {
  const echo = (socket: Socket) => void socket.on("data", (bytes) => socket.end(`#${bytes.toString().trim()}\n`));
  expect(await ask(echo, { send: "state of web1?\n" })).toMatchObject({ detail: "nothing (state of web1?)", said: {} });
});

test("no answer, no text and no end are no word at all", async () => {
  const verdict = async (talk: (socket: Socket) => void, timeout?: number) => {
    const { passed, code, said } = await ask(talk, {}, timeout);
    expect([passed, said]).toEqual([false, undefined]);
    return code;
  };
  expect(await verdict((socket) => socket.end())).toBe("SLUICE_CHECK_CLOSED");
  expect(await verdict((socket) => socket.end("dr\u0000ain\n"))).toBe("SLUICE_CHECK_PROTOCOL");
  expect(await verdict((socket) => socket.end("down #\u007f\n"))).toBe("SLUICE_CHECK_PROTOCOL");
  expect(await verdict((socket) => void socket.write(`down #${"x".repeat(16 * 1024 - 5)}\n`))).toBe(
    "SLUICE_CHECK_PROTOCOL",
  );
  expect(await verdict((socket) => void socket.write("x".repeat(100_000)))).toBe("SLUICE_CHECK_PROTOCOL");
  expect(await verdict(() => {}, 50)).toBe("SLUICE_CHECK_TIMEOUT");
  expect((await agent.probe({ address: "127.0.0.1", port: 1 }, {}, 5000)).code).toBe("SLUICE_CHECK_REFUSED");
});
