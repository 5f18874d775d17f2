import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../runtime/child.ts";

/** A cache of our own with one unpacked program in it; the environment is read by a child, so that ours stays. */
test("a program in the cache is found with its libraries, and can be called by its name", async () => {
  const cache = mkdtempSync(join(tmpdir(), "sluice-peers-"));
  const folder = join(cache, "peers/wrk-9.9-1");
  mkdirSync(join(folder, "usr/bin"), { recursive: true });
  mkdirSync(join(folder, "usr/lib/x86_64-linux-gnu"), { recursive: true });
  writeFileSync(join(folder, "usr/bin/wrk"), '#!/bin/sh\necho "$1 $LD_LIBRARY_PATH"\n');
  chmodSync(join(folder, "usr/bin/wrk"), 0o755);
  const program = `
    import { peer, cached, peerCommands } from "${join(import.meta.dirname, "peers.ts")}";
    const { program, version, env } = await peer("wrk");
    console.log(JSON.stringify({ program, version, env, path: peerCommands(["wrk"]) }));`;
  const found = await run([process.execPath, "-e", program], { env: { SLUICE_CACHE: cache } });
  const { path, ...rest } = JSON.parse(found.stdout);
  const libraries = join(folder, "usr/lib/x86_64-linux-gnu");
  expect(rest).toEqual({
    program: join(folder, "usr/bin/wrk"),
    version: "9.9-1",
    env: { LD_LIBRARY_PATH: libraries },
  });
  expect((await run([join(path, "wrk"), "hello"])).stdout).toBe(`hello ${libraries}\n`);
  rmSync(cache, { recursive: true });
});
