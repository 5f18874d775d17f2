import { expect, test } from "bun:test";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, type End } from "../../relay/testing.ts";
import { together } from "../../runtime/testing.ts";
import { proxy } from "./index.ts";

const { raw, serve } = httpStage(proxy);

const BODY = "x".repeat(300_000);
const get = (path: string, fields = ""): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const last = (path: string): string => get(path, "Connection: close\r\n");

/** Answers each request, the first of a connection late: its client is looked at before. */
function late(end: End): void {
  const asked = end.got.split("\r\n\r\n").length - 1;
  end.got = "";
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
  setTimeout(() => end.send(answer.repeat(asked)), 180);
}

/** Clients that come in a burst are served without an event loop of their own, until they have to be waited for. */
const cases: [string, string, number][] = [
  ["one request, the last", last("/a"), 1],
  ["two at once", get("/a") + last("/b"), 2],
  ["bytes behind the last", `${last("/a")}GET /b HTT`, 1],
];

test.each(cases)("a burst of clients, each with %s, is answered whole", async (_what, words, answers) => {
  const backend = raw(late);
  const served = await serve([aBackend(0, backend.port)]);
  const got = await together({ address: "127.0.0.1", port: served.port }, 20, words);
  const bodies = got.map((text) => text.split("\r\n\r\n").filter((part) => part.startsWith(BODY)).length);
  expect(bodies).toEqual(Array(20).fill(answers));
  expect(["-1/requests", "-1/active", "0/active", "-1/errors"].map(served.count)).toEqual([20 * answers, 0, 0, 0]);
});
