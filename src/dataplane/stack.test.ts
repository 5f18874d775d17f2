import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileProgram, ensureBuilt, objectPath, objects } from "./build.ts";
import { xdpMissing } from "./testing/network.ts";
import { deepestChain } from "./testing/stack.ts";

const missing = xdpMissing();
if (missing) console.log(`skipped: the stack of programs: ${missing}`);
/** MAX_BPF_STACK. Later kernels count less, so only the oldest one would refuse. */
const ALLOWED = 512;

describe.skipIf(missing !== null)("the stack of programs", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-stack-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  ensureBuilt();

  for (const name of objects)
    test(`${name}: its deepest chain of calls fits`, () => {
      const { chain, bytes } = deepestChain(readFileSync(objectPath(name)));
      expect(`${bytes <= ALLOWED ? "fits" : bytes}: ${bytes <= ALLOWED ? "" : chain.join(" > ")}`).toBe("fits: ");
    });

  test("frames are read as they are: stores, addresses, calls and callbacks", () => {
    const source = join(folder, "deep.bpf.c");
    writeFileSync(
      source,
      `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
static long back(__u32 i, void *p) { volatile char room[72]; room[i & 7] = 1; return room[0]; }
__attribute__((noinline)) int far_down(int x) { volatile char room[200]; room[x & 63] = 1; bpf_loop(2, back, 0, 0); return room[1]; }
static __attribute__((noinline)) int down(int x) { volatile long one = x; return far_down(one) + one; }
SEC("xdp") int deep(struct xdp_md *ctx) { volatile char room[300]; room[ctx->ingress_ifindex & 255] = 1; return down(room[3]); }
char _license[] SEC("license") = "GPL";`,
    );
    const object = join(folder, "deep.bpf.o");
    compileProgram(source, object);
    const { chain, bytes } = deepestChain(readFileSync(object));
    expect(chain.map((one) => one.split(" ")[0]!)).toEqual(["deep", "down", "far_down", "back"]);
    expect(bytes).toBe(320 + 32 + 224 + 96);
  });
});
