import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep } from "../../src/runtime/clock.ts";
import { fetchUnix, serveUnix } from "../../src/runtime/http.ts";

test("an answer that is long in coming comes, and one that pauses goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-api-"));
  const socket = join(folder, "admin.sock");
  const server = serveUnix(socket, async (request) => {
    if (request.url.endsWith("/late")) await sleep(15_000);
    const body = async function* () {
      yield "a";
      if (request.url.endsWith("/paused")) await sleep(15_000);
      yield "b";
    };
    return new Response(body());
  });
  try {
    const texts = ["/late", "/paused"].map(async (path) => (await fetchUnix(socket, path)).text());
    expect(await Promise.all(texts)).toEqual(["ab", "ab"]);
  } finally {
    server.stop();
    rmSync(folder, { recursive: true });
  }
}, 60_000);
