import { describe, expect, test } from "bun:test";
import { httpStage } from "../../relay/stage.ts";
import { aBackend, answering, type End } from "../../relay/testing.ts";
import { sleep } from "../../runtime/clock.ts";
import { fullListener } from "../../runtime/testing.ts";
import { proxy } from "./index.ts";

const { cleanup, raw, serve, client } = httpStage(proxy);

const OK = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
/** More than the buffers of two sockets hold. */
const LARGE = 24 << 20;
const upload = (size: number): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`;
/** Resolves once a number has stood still for a while. */
async function still(number: () => number): Promise<void> {
  for (let before = -1; before !== number(); await sleep(100)) before = number();
}
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

describe("a client that has only half to say", () => {
  test("a body that is there is not late while a backend is being reached", async () => {
    const full = await fullListener();
    cleanup.push(full.close);
    const timeouts = { body: "100ms", connect: "500ms" };
    const served = await serve([aBackend(0, full.port)], { timeouts, retries: 0 });
    expect(
      await client(served)
        .send(`${upload(5)}hello`)
        .gone(),
    ).toStartWith("HTTP/1.1 504 ");
  });
  test("requests that it sent before it closed its half are all answered, however slowly it reads", async () => {
    const part = "x".repeat(64 << 10);
    const backend = raw(answering(`HTTP/1.1 200 OK\r\nContent-Length: ${part.length}\r\n\r\n${part}`));
    const served = await serve([aBackend(0, backend.port)]);
    const end = client(served);
    await end.until(({ socket }) => socket !== null);
    end.socket!.pause();
    const all = 400;
    end.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(all));
    await still(() => served.count("-1/requests"));
    end.socket!.shutdown();
    await sleep(50);
    end.socket!.resume();
    await end.gone();
    expect(end.got.split("HTTP/1.1 200 OK").length - 1).toBe(all);
  });
});

describe("a client that is answered early, and closes its half instead of saying the rest", () => {
  // Small: the answer is whole when it does; large: the client takes its last byte long after.
  test.each([5, LARGE])("gets all of the answer (%d bytes), and an end", async (size) => {
    const backend = raw((end) => {
      if (end.got.endsWith("\r\n\r\nhalf"))
        end.send(`HTTP/1.1 413 Content Too Large\r\nContent-Length: ${size}\r\n\r\n`).send(Buffer.alloc(size, 97));
    });
    const served = await serve([aBackend(0, backend.port)]);
    const end = client(served).send(`${upload(9)}half`);
    let got = 0;
    end.onData = ({ socket }, chunk) => {
      got += chunk.length;
      if (!end.stopped && got < size && size === LARGE) socket!.pause();
    };
    await end.until(() => got > 0);
    if (size !== LARGE) await end.until(() => got > size);
    end.socket!.shutdown();
    await sleep(50);
    end.onData = (_end, chunk) => {
      got += chunk.length;
    };
    end.socket!.resume();
    await end.gone();
    const head = `HTTP/1.1 413 Content Too Large\r\nDate: ${"x".repeat(29)}\r\nContent-Length: ${size}\r\n\r\n`;
    expect([got, end.error]).toEqual([head.length + size, undefined]);
    await backend.connections[0]!.gone();
    expect(gauges.map(served.count)).toEqual([0, 0, 0]);
  });
});

describe("what is cut does not look whole", () => {
  test("an answer that ends by close, when the request behind it turns out wrong", async () => {
    const backend = raw((end) => end.send("HTTP/1.1 200 OK\r\n\r\npart"));
    const served = await serve([aBackend(0, backend.port)]);
    const end = client(served).send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    await end.has("part");
    end.send("no chunk");
    await end.until(({ closed }) => closed);
    expect([end.ended, end.error !== undefined]).toEqual([false, true]);
  });
});
