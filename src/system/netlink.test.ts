import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ptr } from "../runtime/ffi.ts";
import { libc } from "../runtime/libc.ts";
import { AF_UNIX, SOCK_SEQPACKET } from "../runtime/socket-constants.ts";
import { hostCommand, hostCommandSync } from "./host-command.ts";
import { Netlink } from "./netlink.ts";

const [DONE, ERROR, ENTRY] = [3, 2, 24];
const INTERRUPTED = 0x10;

/** One message as the kernel sends it: header, then one word. */
function message(type: number, flags: number, word: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setInt32(16, word, true);
  return bytes;
}

/** A netlink socket whose kernel has answered already, one packet after another. */
function answered(...packets: Uint8Array[][]): { socket: Netlink; asked(): number; close(): void } {
  const ends = new Int32Array(2);
  libc.socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ptr(ends));
  const [ours, kernel] = ends as unknown as [number, number];
  for (const packet of packets) {
    const bytes = new Uint8Array(Buffer.concat(packet));
    libc.send(kernel, ptr(bytes), bytes.length, 0);
  }
  const socket = new Netlink(ours);
  const question = new Uint8Array(64);
  return {
    socket,
    asked() {
      let count = 0;
      const MSG_DONTWAIT = 0x40;
      while (libc.recv(kernel, ptr(question), question.length, MSG_DONTWAIT) > 0) count++;
      return count;
    },
    close() {
      socket.close();
      libc.close(kernel);
    },
  };
}

const words = (payloads: Uint8Array[]): number[] => payloads.map((one) => new DataView(one.buffer).getInt32(0, true));
const request = message(26, 0x301, 0);

test("a list that changed while it was told is asked for anew, and only what was told last counts", () => {
  const first = [message(ENTRY, INTERRUPTED, 1), message(ENTRY, 0, 2)];
  const { socket, asked, close } = answered(
    first,
    [message(DONE, 0, 0)],
    [message(ENTRY, 0, 3)],
    [message(DONE, INTERRUPTED, 0)],
    [message(ENTRY, 0, 4), message(DONE, 0, 0)],
  );
  const { failed, payloads } = socket.list(request);
  expect([failed, words(payloads), asked()]).toEqual([0, [4], 3]);
  close();
});

test("one that never stands still is taken as it is after five times", () => {
  const list = (word: number) => [message(ENTRY, INTERRUPTED, word), message(DONE, INTERRUPTED, 0)];
  const { socket, asked, close } = answered(list(1), list(2), list(3), list(4), list(5), list(6));
  const { failed, payloads } = socket.list(request);
  expect([failed, words(payloads), asked()]).toEqual([0, [5], 5]);
  close();
});

test("an error ends it, with the number of the error", () => {
  const { socket, asked, close } = answered([message(ERROR, 0, -1)]);
  expect([socket.list(request).failed, asked()]).toEqual([1, 1]);
  close();
});

test("what ip(8) lists is asked for anew as well, and taken as it is after five times", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-list-"));
  const file = join(dir, "asked");
  const lists = (interruptions: number) => {
    rmSync(file, { force: true });
    const script = `echo >>${file}; n=$(wc -l <${file}); echo list $n; [ $n -gt ${interruptions} ] || echo Dump was interrupted and may be inconsistent. >&2`;
    return ["sh", "-c", script];
  };
  expect(await hostCommand(lists(2))).toMatchObject({ ok: true, value: "list 3\n" });
  expect(hostCommandSync(lists(2))).toMatchObject({ ok: true, value: "list 3\n" });
  expect(hostCommandSync(lists(9))).toMatchObject({ ok: true, value: "list 5\n" });
  expect(readFileSync(file, "utf8")).toBe("\n".repeat(5));
  rmSync(dir, { recursive: true });
});
