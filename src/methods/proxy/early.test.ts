import { describe, expect, test } from "bun:test";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, type End } from "../../relay/testing.ts";
import { proxy } from "./index.ts";

const { raw, serve, client } = httpStage(proxy);

const OK = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
/** More than the buffers of two sockets hold. */
const LARGE = 24 << 20;
const upload = (size: number): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`;
const gauges = ["-1/active", "0/active", "-1/queued"];

/** Answers at the head, and reads no further. */
const deaf = (end: End): void => {
  end.send(OK);
  end.socket!.pause();
};

describe("a backend that answers before it has the whole body", () => {
  test("and then takes nothing more: both connections end when its time to read is up", async () => {
    const backend = raw(deaf);
    const served = await serve([aBackend(0, backend.port)], { timeouts: { read: "200ms", body: "100ms" } });
    const end = client(served).send(upload(LARGE));
    for (let i = 0; i < 24; i++) end.send(Buffer.alloc(1 << 20, 97));
    await end.has("ok");
    await end.gone();
    expect(gauges.map(served.count)).toEqual([0, 0, 0]);
  });
});
