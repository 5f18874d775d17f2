import { expect, test } from "bun:test";
import { LAST_PACKET } from "../core/worker-protocol.ts";
import { descriptorChannel, sendPacket, takePacket } from "../runtime/descriptors.ts";
import { closeFd } from "../runtime/listen.ts";
import { passSessions } from "./sessions.ts";

test("a worker that leaves with nonsense costs its own sessions alone: those of others pass, and the heirs are opened", async () => {
  const [ours, theirs] = descriptorChannel();
  const [heirOurs, heirTheirs] = descriptorChannel();
  for (const text of ["{", "null", '{"socket": 7}', '{"socket": "7"}', LAST_PACKET])
    sendPacket(theirs, { text, fds: [] });
  const done: string[] = [];
  const note = (word: string) => () => void done.push(word);
  await passSessions(
    [{ channel: ours, gone: () => false, done: note("done") }],
    [{ channel: heirOurs, sockets: ["7"], gone: () => false, take: note("take"), open: note("open") }],
  );
  expect(done).toEqual(["take", "done", "open"]);
  expect([takePacket(heirTheirs)?.text, takePacket(heirTheirs)]).toEqual(['{"socket": "7"}', null]);
  for (const fd of [ours, theirs, heirOurs, heirTheirs]) closeFd(fd);
});
