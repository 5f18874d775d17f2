import { expect, test } from "bun:test";
import fc from "fast-check";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, type End } from "../../relay/testing.ts";
import { proxy } from "./index.ts";

/** Damaged requests and good ones share two connections to a lenient backend: nobody ever gets another's answer. */

const { raw, serve, client } = httpStage(proxy);

const HIDDEN = "GET /evil-hidden HTTP/1.1\r\nHost: a\r\n\r\n";
const heads = [
  "GET /evil HTTP/1.1\r\nHost: a\r\n",
  "POST /evil HTTP/1.1\r\nHost: a\r\n",
  "PUT /evil HTTP/1.0\r\nHost: a\r\n",
];
const bodies = [
  "\r\n",
  `Content-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  `Content-Length: 5\r\n\r\nhello`,
  `Transfer-Encoding: chunked\r\n\r\n${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`,
  `Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  `Content-Length: ${HIDDEN.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  `Expect: 100-continue\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  `Connection: upgrade\r\nUpgrade: websocket\r\n\r\n${HIDDEN}`,
];
const pieces = [
  ..."\r\n \t:;,0\0_x",
  "\r\n",
  "\r\n\r\n",
  "chunked",
  "Content-Length: 5\r\n",
  "Content-Length : 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding:\x0bchunked\r\n",
  "Transfer_Encoding: chunked\r\n",
  " Transfer-Encoding: chunked\r\n",
  "Connection: content-length, transfer-encoding\r\n",
  HIDDEN,
];
const damage = fc.record({ at: fc.nat(), out: fc.nat(6), in: fc.constantFrom("", "", ...pieces) });
const bad = fc
  .tuple(fc.constantFrom(...heads), fc.constantFrom(...bodies), fc.array(damage, { maxLength: 3 }))
  .map(([head, body, all]) =>
    all.reduce((text, one) => {
      const at = one.at % text.length;
      return text.slice(0, at) + one.in + text.slice(at + one.out);
    }, head + body),
  );

const answerOf = (path: string): string =>
  `HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: ${path.length}\r\n\r\n${path}`;

/** Reads as a lenient server does, and answers each request with its own path. */
function echo(end: End): void {
  for (;;) {
    const [head] = /^[\s\S]*?\r?\n\r?\n/.exec(end.got) ?? [];
    if (head === undefined) return;
    const length = /^content-length:\s*(\d+)/im.exec(head);
    let size = head.length;
    if (/^transfer-encoding:.*chunked/im.test(head)) {
      const body = /^(?:[1-9a-f][0-9a-f]*[^\n]*\n[\s\S]*?\r\n)*?0[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n/i.exec(
        end.got.slice(size),
      );
      if (body === null) return;
      size += body[0].length;
    } else if (length !== null) size += Number(length[1]);
    if (end.got.length < size) return;
    const path = head.trimStart().split(/\s+/)[1] ?? "?";
    end.got = end.got.slice(size);
    // What was smuggled is answered late: to whoever asks next.
    if (path.includes("hidden")) setTimeout(() => end.send(answerOf(path)), 3);
    else end.send(answerOf(path));
  }
}

test("whatever strangers send, who asks rightly gets the answers to what was asked, in order and nothing else", async () => {
  const turns = fc.array(fc.record({ bad, together: fc.boolean(), good: fc.integer({ min: 1, max: 3 }) }), {
    minLength: 5,
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(turns, async (all) => {
      const backend = raw(echo);
      const options = { limits: { backend: 2 }, timeouts: { response: "1500ms", body: "150ms", head: "2s" } };
      const served = await serve([aBackend(0, backend.port)], options);
      const regular = client(served);
      let wanted = "";
      for (const [i, turn] of all.entries()) {
        const stranger = client(served).send(turn.bad);
        if (!turn.together) await stranger.until(({ got, closed, ended }) => got !== "" || closed || ended);
        const paths = Array.from({ length: turn.good }, (_, k) => `/good-${i}-${k}`);
        regular.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
        wanted += paths.map(answerOf).join("");
        await regular.until(({ got, closed }) => got.length >= wanted.length || closed);
        expect(regular.got).toBe(wanted);
        expect(stranger.got).not.toContain("/good");
        stranger.stop();
      }
    }),
    { numRuns: 100 },
  );
}, 60_000);
