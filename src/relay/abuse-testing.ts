import { readdirSync, readlinkSync } from "node:fs";
import fc from "fast-check";
import { now, sleep } from "../runtime/clock.ts";
import type { End } from "./testing.ts";

/** What the tests of abuse share: clients and backends that do all they should not, at random moments. */

const HOST = "HTTP/1.1\r\nHost: a\r\n";
const BIG = Buffer.alloc(1 << 20, 97);

/** What a client says, whole or not. */
export const words: Record<string, string | Buffer> = {
  get: `GET / ${HOST}\r\n`,
  head: `HEAD / ${HOST}\r\n`,
  old: "GET / HTTP/1.0\r\n\r\n",
  put: `PUT / ${HOST}Content-Length: 5\r\n\r\nhello`,
  post: `POST / ${HOST}Content-Length: 5\r\n\r\nhello`,
  "half a head": `GET / ${HOST}X-`,
  "half a body": `POST / ${HOST}Content-Length: 9\r\n\r\nhel`,
  "a large body's begin": `POST / ${HOST}Content-Length: 8388608\r\n\r\n`,
  "a piece of it": BIG,
  chunks: `POST / ${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: x\r\n\r\n`,
  "half a chunk": `PUT / ${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhe`,
  "no chunk": `POST / ${HOST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`,
  expect: `POST / ${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
  upgrade: `GET / ${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
  many: `GET / ${HOST}\r\n`.repeat(30),
  last: `GET / ${HOST}Connection: close\r\n\r\n`,
  own: `OPTIONS * ${HOST}Max-Forwards: 0\r\n\r\n`,
  noise: "\x16\x03\x01\0\r\n\r\n",
};
const deeds: Record<string, (end: End) => void> = {
  "closes its half": (end) => void end.socket?.shutdown(),
  leaves: (end) => end.stop(),
  "stops reading": (end) => void end.socket?.pause(),
  "reads on": (end) => void end.socket?.resume(),
};

const answer = (text: string) => (end: End) => void end.send(text);
export const LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** What a backend does with what it has read. */
export const moods: Record<string, (end: End) => void> = {
  answers: answer(LENGTH),
  "is ill": answer("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"),
  "says it in chunks": answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: x\r\n\r\n"),
  "breaks a chunk": answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay"),
  "says too much": answer(`${LENGTH}HTTP/1.1 200 OK\r\n\r\n`),
  "says it first": answer(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n\r\n${LENGTH}`),
  "is no server": answer("SSH-2.0\r\n"),
  switches: answer("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nws"),
  "closes at its end": (end) => void (end.send("HTTP/1.1 200 OK\r\n\r\nok"), end.socket!.shutdown()),
  "closes behind it": (end) => void (end.send(LENGTH), end.socket!.shutdown()),
  "says a lot": (end) =>
    void end
      .send(`HTTP/1.1 200 OK\r\nContent-Length: ${8 << 20}\r\n\r\n`)
      .send(BIG)
      .send(BIG),
  breaks: (end) => void (end.send(LENGTH.slice(0, 30)), setTimeout(() => end.stop(), 5)),
  "hangs up": (end) => end.stop(),
  "closes its half": (end) => void end.socket!.shutdown(),
  "answers, and reads no more": (end) => void (end.send(LENGTH), end.socket!.pause()),
  "reads no more": (end) => void end.socket!.pause(),
  "says nothing": () => {},
};

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...Object.keys(words)) },
  { weight: 2, arbitrary: fc.constantFrom(...Object.keys(deeds)) },
  { weight: 2, arbitrary: fc.nat(60) },
);
export const story = fc.array(step, { minLength: 1, maxLength: 8 });
/** A client's life: what it says and does, and how long it rests between, ms. */
export async function live(end: End, steps: readonly (string | number)[]): Promise<void> {
  for (const one of steps) {
    if (typeof one === "number") await sleep(one);
    else if (one in words) end.send(words[one]!);
    else deeds[one]!(end);
  }
  // A tunnel lives for as long as its ends want it to.
  await sleep(100);
  end.stop();
}

/** Sockets that a process holds, each once; one may go while they are looked at. */
export function socketsOf(pid: number | "self"): number {
  const folder = `/proc/${pid}/fd`;
  const named = (fd: string): string => {
    try {
      return readlinkSync(`${folder}/${fd}`);
    } catch {
      return "";
    }
  };
  return new Set(
    readdirSync(folder)
      .map(named)
      .filter((name) => name.startsWith("socket:")),
  ).size;
}

/** Waits until it holds, for a while. */
export async function settles(holds: () => boolean): Promise<void> {
  const end = now() + 8000;
  while (!holds() && now() < end) await sleep(20);
}
