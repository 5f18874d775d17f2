import { aBackend, dial, type End, RawBackend, type Served, serveOne } from "../../../relay/testing.ts";
import { proxy } from "../index.ts";

/** What the conformance tests share: one proxy before one raw, lenient backend, and exact bytes on both sides. */

export const DATE = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
export const OK = `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 2\r\n\r\nok`;
/** What the proxy adds to every request of an HTTP/1.1 client for host `a`, with the end of the head. */
export const ADDED =
  "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\nVia: 1.1 sluice\r\n\r\n";

const cleanup: (() => unknown)[] = [];
/** For `afterEach`: stops what the test started. */
export async function stopAll(): Promise<void> {
  for (const stop of cleanup.splice(0).reverse()) await stop();
}

export interface Stage {
  served: Served;
  backend: RawBackend;
  /** A new client connection. */
  client(): End;
}

/** `serve`: called after every read of the backend, with the connection and its number. */
export async function stage(serve: (end: End, index: number) => void, options: object = {}): Promise<Stage> {
  const backend = new RawBackend(serve);
  const served = await serveOne(proxy, [aBackend(0, backend.port)], options);
  cleanup.push(() => backend.stop(), served.stop);
  const client = (): End => {
    const end = dial(served.port);
    cleanup.push(() => end.stop());
    return end;
  };
  return { served, backend, client };
}

/** Answers with `response` once the head of the request is there. */
export const answerHead =
  (response: string) =>
  (end: End): void => {
    if (end.got.includes("\r\n\r\n")) end.send(response);
  };

/** The bytes that the backend gets for `request`, all of them up to `last`. */
export async function forwarded(request: string, last = "\r\n\r\n", options: object = {}): Promise<string> {
  const { backend, client } = await stage((end) => void (end.got.endsWith(last) && end.send(OK)), options);
  await client().send(request).has("ok");
  return backend.connections.map(({ got }) => got).join("");
}

/** The bytes that an HTTP/1.1 client gets for `response`, up to `last`. The backend keeps the connection. */
export async function answered(response: string, last: string, request = get()): Promise<string> {
  const { client } = await stage(answerHead(response));
  return client()
    .send(request)
    .until(({ got }) => got.endsWith(last), last);
}

/** The answer to a request that must be refused: one answer, then the end; and what reached the backend. */
export async function refused(request: string): Promise<{ status: string; seen: string }> {
  const { backend, client } = await stage(() => {});
  const got = await client().send(request).gone();
  const answers = got.split("HTTP/1.1 ").length - 1;
  if (answers !== 1 || !got.includes("\r\nConnection: close\r\n")) throw new Error(`not one closing answer: ${got}`);
  return { status: got.slice(9, 12), seen: backend.connections.map((end) => end.got).join("") };
}

/** A GET for host `a` with these field lines. */
export const get = (fields = "", target = "/"): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
/** A POST for host `a` with these field lines and this body. */
export const post = (fields: string, body: string): string => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;
