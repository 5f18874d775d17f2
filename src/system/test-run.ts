/** Programs that are run by hand, without an interface that brings packets (BPF_PROG_TEST_RUN). */
import { ptr } from "../runtime/ffi.ts";
import { bpf, check } from "./libbpf.ts";

export interface TestRun {
  /** XDP action. */
  verdict: number;
  output: Uint8Array;
}

/** Runs a program once over one frame (BPF_PROG_TEST_RUN). */
export function testRun(program: number, frame: Uint8Array, ifindex?: number): TestRun {
  const input = Uint8Array.from(frame);
  const output = new Uint8Array(frame.length + 1536);
  // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
  const context = new Uint32Array([0, frame.length, 0, ifindex ?? 0, 0, 0]);
  const options = new Uint8Array(80);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, 80n, true);
  view.setBigUint64(8, BigInt(ptr(input)), true);
  view.setBigUint64(16, BigInt(ptr(output)), true);
  view.setUint32(24, input.length, true);
  view.setUint32(28, output.length, true);
  if (ifindex !== undefined) {
    view.setBigUint64(32, BigInt(ptr(context)), true);
    view.setUint32(48, context.byteLength, true);
  }
  view.setInt32(60, 1, true);
  check(bpf().bpf_prog_test_run_opts(program, ptr(options)), "test run");
  // Read after the call: what was written through the pointers is in the same buffers.
  const verdict = view.getUint32(56, true);
  void [input.length, context.length];
  return { verdict, output: output.subarray(0, view.getUint32(28, true)) };
}

/** BPF_F_TEST_XDP_LIVE_FRAMES */
const LIVE_FRAMES = 2;

/**
 * Runs a program over `repeat` live frames of `length` bytes, as if they came in by `ifindex`: what it transmits
 * leaves. The frames come round again as they were left, so the program writes all of them. Throws SluiceError.
 */
export function testRunLive(program: number, length: number, ifindex: number, repeat: number): void {
  const input = new Uint8Array(length);
  const context = new Uint32Array([0, length, 0, ifindex, 0, 0]);
  const options = new Uint8Array(80);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, 80n, true);
  view.setBigUint64(8, BigInt(ptr(input)), true);
  view.setUint32(24, length, true);
  view.setBigUint64(32, BigInt(ptr(context)), true);
  view.setUint32(48, context.byteLength, true);
  view.setInt32(60, repeat, true);
  view.setUint32(68, LIVE_FRAMES, true);
  check(bpf().bpf_prog_test_run_opts(program, ptr(options)), "live frames");
  void [input.length, context.length];
}
